import { retryable } from "@crowdcrunch/kit/errors";
import type { CodedError } from "@crowdcrunch/kit/errors";
import type { Metrics } from "@crowdcrunch/kit/metrics";

export interface AdmissionOptions {
  /** Most requests that are worked on at a time. */
  concurrency: number;
  /** How long a request may wait for its turn, in ms. */
  queueMs: number;
  metrics: Metrics;
}

export interface Admission {
  /**
   * Resolves when the request may be worked on, to what is called when it is done. Throws OVERLOADED, retryable, where
   * its turn does not come in time. Those that are `first` go before the others: a mutation goes on with what a shopper
   * has begun, a query may begin something new.
   */
  enter(first: boolean): Promise<() => void>;
}

interface Waiting {
  admit(): void;
}

/** For each request that is worked on so many may wait: more could not have their turn in time, and would fill the memory. */
const waitingPerRunning = 10;

export function overloaded(): CodedError {
  return retryable("OVERLOADED", "Too many want something at once; try again.", 1_000);
}

/**
 * Lets in as many requests as the gateway and the services can work on at a time; the others wait shortly, and are told
 * to come back where that is not enough. So what is let in is done in time, however much more is asked.
 */
export function createAdmission({ concurrency, queueMs, metrics }: AdmissionOptions): Admission {
  const before = new Set<Waiting>();
  const behind = new Set<Waiting>();
  let running = 0;
  const runningNow = metrics.gauge("crowdcrunch_gateway_requests_running", "GraphQL requests that are worked on");
  const waitingNow = metrics.gauge("crowdcrunch_gateway_requests_waiting", "GraphQL requests that wait for their turn");

  function note(): void {
    runningNow.set(running);
    waitingNow.set(before.size + behind.size);
  }

  function leave(): void {
    running--;
    const [next] = before.size > 0 ? before : behind;
    if (next) next.admit();
    else note();
  }

  function start(): () => void {
    running++;
    note();
    return leave;
  }

  return {
    async enter(first) {
      if (running < concurrency) return start();
      if (before.size + behind.size >= concurrency * waitingPerRunning) throw overloaded();
      const queue = first ? before : behind;
      return new Promise((resolve, reject) => {
        const waiting: Waiting = {
          admit() {
            clearTimeout(timer);
            queue.delete(waiting);
            resolve(start());
          },
        };
        const timer = setTimeout(() => {
          queue.delete(waiting);
          note();
          reject(overloaded());
        }, queueMs);
        queue.add(waiting);
        note();
      });
    },
  };
}
