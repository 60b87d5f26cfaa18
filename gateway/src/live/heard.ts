import { LRUCache } from "lru-cache";

/**
 * What was heard of lately. A listener learns its key with its first answer; what happened to that key while it was
 * asked would else be missed.
 */
export interface Heard {
  /** A moment to compare with. */
  now(): number;
  add(key: string): void;
  /** Whether the key was heard of after that moment; true also where that was too long ago to know. */
  since(key: string, moment: number): boolean;
}

export function createHeard(most = 10_000): Heard {
  let moment = 0;
  let forgotten = 0;
  const keys = new LRUCache<string, number>({
    max: most,
    dispose: (at, _key, reason) => {
      if (reason === "evict") forgotten = Math.max(forgotten, at);
    },
  });
  return {
    now: () => moment,
    add: (key) => void keys.set(key, (moment += 1)),
    since: (key, before) => (keys.get(key) ?? 0) > before || forgotten > before,
  };
}
