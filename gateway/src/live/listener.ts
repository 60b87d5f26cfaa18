import type { EventContract } from "@crowdcrunch/events/contract";
import type { DeliveredEvent, EventLog, Tail } from "@crowdcrunch/kit/eventlog";

export interface Listener {
  /** Resolves when all events from now on are heard. */
  start(): Promise<void>;
  /** Reads nothing until the next start. */
  stop(): Promise<void>;
}

/** Reads along the log while somebody listens; a gateway without listeners reads nothing. */
export function createListener(options: {
  eventLog: EventLog;
  contracts: readonly EventContract[];
  onEvents: (events: DeliveredEvent[]) => void;
  onGap: (reason: string) => void;
}): Listener {
  const { eventLog, onEvents, onGap } = options;
  const topics = [...new Set(options.contracts.map(({ topic }) => topic))];
  let tail: Promise<Tail> | undefined;
  let stopping: Promise<unknown> = Promise.resolve();

  return {
    async start() {
      const starting = (tail ??= stopping.then(() => eventLog.tail({ topics, onEvents, onGap })));
      try {
        await starting;
      } catch (error) {
        if (tail === starting) tail = undefined;
        throw error;
      }
    },
    async stop() {
      const started = tail;
      tail = undefined;
      if (started) stopping = started.then((running) => running.stop()).catch(() => {});
      await stopping;
    },
  };
}
