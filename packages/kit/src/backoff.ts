/** Waits between attempts: `firstMs`, then twice as long each time, up to `mostMs`. */
export interface Backoff {
  firstMs: number;
  mostMs: number;
}

export function backoffMs(backoff: Backoff, failures: number): number {
  return Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.mostMs);
}

/** As backoffMs, but the database is looked for at least every two seconds: all else waits for it. */
export function reconnectMs(backoff: Backoff, failures: number): number {
  return Math.min(backoffMs(backoff, failures), 2_000);
}

/** A sleep that ends early where its condition comes true; `recheck` says that it may have. */
export interface Sleeper {
  sleep(ms: number, until: () => boolean): Promise<void>;
  recheck(): void;
}

/** For one sleep at a time. */
export function createSleeper(): Sleeper {
  let check = (): void => {};
  return {
    sleep(ms, until) {
      if (until()) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          check = () => {};
          resolve();
        };
        const timer = setTimeout(end, ms);
        check = () => {
          if (until()) end();
        };
      });
    },
    recheck: () => check(),
  };
}
