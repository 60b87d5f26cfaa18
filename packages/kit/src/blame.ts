import { isStatementTimeout, isTransient } from "./errors.ts";
import type { DeliveredEvent } from "./eventlog.ts";

/** So often an event alone may run into the statement time-out before the fault is taken to be its own. */
const mostTimeouts = 5;

/** Tells an event that cannot be handled from a database that is slow or away. */
export interface Blame {
  /** To be asked whenever the event failed alone. True where it must be parked; where not, it is worth another try. */
  fallsOn(event: DeliveredEvent, error: unknown): boolean;
  /** The event has been dealt with. */
  clear(event: DeliveredEvent): void;
}

/**
 * A statement that takes too long may be the work of a database under load, which passes, or of the event, which does not:
 * only the second meets the time-out every time. Parking it is a write, which a database that is slow for all refuses too.
 */
export function createBlame(): Blame {
  const timeouts = new Map<string, number>();
  return {
    fallsOn(event, error) {
      if (!isStatementTimeout(error)) return !isTransient(error);
      const times = (timeouts.get(event.id) ?? 0) + 1;
      timeouts.set(event.id, times);
      return times >= mostTimeouts;
    },
    clear: (event) => void timeouts.delete(event.id),
  };
}
