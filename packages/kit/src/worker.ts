import { AsyncResource } from "node:async_hooks";
import type { Logger } from "./logger.ts";

/** Work beside requests and events: payment operations, deadlines, mails. */
export interface Worker {
  start(): void;
  /** Lets the running round end. */
  stop(): Promise<void>;
}

export interface PollingWorker extends Worker {
  /** Runs soon; cheap to call often. */
  nudge(): void;
}

/**
 * Runs `round` when nudged and every `intervalMs`, one round at a time, and again at once while a round says that there
 * is more. A round that throws is logged and tried again after the interval.
 */
export function pollingWorker(options: {
  name: string;
  intervalMs: number;
  log: Logger;
  round: () => Promise<boolean | void>;
}): PollingWorker {
  // A round belongs to nobody who nudged: what a request knows, such as how long it may take, must not go with it.
  const own = new AsyncResource(options.name);
  let stopped = false;
  let wanted = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function work(): Promise<void> {
    while (wanted && !stopped) {
      wanted = false;
      try {
        if (await options.round()) wanted = true;
      } catch (error) {
        options.log.warn({ worker: options.name, error: (error as Error).message }, "worker tries again");
        return;
      }
    }
  }

  function nudge(): void {
    wanted = true;
    if (stopped || running) return;
    clearTimeout(timer);
    running = own.runInAsyncScope(() =>
      work().finally(() => {
        running = undefined;
        if (stopped) return;
        timer = setTimeout(nudge, options.intervalMs);
      }),
    );
  }

  return {
    start: nudge,
    nudge,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
