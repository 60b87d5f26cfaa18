import { CodedError, retryable } from "@crowdcrunch/kit/errors";

export interface Places {
  /** Takes a place; what is called gives it back. Throws UNAVAILABLE, or TOO_MANY_STREAMS where it is the person's own. */
  take(person: string): () => void;
}

/** Counts streams, of everybody and of each person. */
export function createPlaces(limits: { streams: number; streamsPerPerson: number }): Places {
  const byPerson = new Map<string, number>();
  let taken = 0;
  return {
    take(person) {
      const own = byPerson.get(person) ?? 0;
      if (own >= limits.streamsPerPerson) {
        throw new CodedError("TOO_MANY_STREAMS", "Too many streams are open; close one.", 5_000);
      }
      if (taken >= limits.streams) {
        throw retryable("UNAVAILABLE", "There is no place for another stream now; try again.", 5_000);
      }
      taken++;
      byPerson.set(person, own + 1);
      let isGiven = false;
      return () => {
        if (isGiven) return;
        isGiven = true;
        taken--;
        const left = (byPerson.get(person) ?? 1) - 1;
        if (left === 0) byPerson.delete(person);
        else byPerson.set(person, left);
      };
    },
  };
}
