/** Kills processes of a shop while a replay runs: its totals must come out the same. */
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../bench/shopper.ts";
import { Problem } from "../environment.ts";
import { kafka as broker } from "../kafka/shop-kafka.ts";
import { services } from "../processes.ts";
import type { RunningShop } from "../shop.ts";
import type { Progress } from "./progress.ts";

export interface KillingChoice {
  /** Between two kills of a service. */
  everySeconds: number;
  seed: number;
}

export interface Killing {
  /** Follows what is done, to kill the broker when a third and when two thirds of the invoices are through. */
  watched(progress: ProgressStart): ProgressStart;
  /** No more kills; resolves to how often each process was killed. */
  stop(): Promise<Map<string, number>>;
}

/** Shares of the invoices that are left at the start. */
const brokerKilledAt = [1 / 3, 2 / 3];
const brokerPatienceMs = 60_000;

type ProgressStart = (what: string, total: number, done: number) => Progress;

/** What KILL_SECONDS and SEED choose; undefined where nothing is to be killed. Throws a Problem for what is no number. */
export function chosenKilling(environment: NodeJS.ProcessEnv = process.env): KillingChoice | undefined {
  if (!environment.KILL_SECONDS) return undefined;
  const everySeconds = Number(environment.KILL_SECONDS);
  if (!(everySeconds >= 0.1 && everySeconds < Infinity))
    throw new Problem(
      `KILL_SECONDS is "${environment.KILL_SECONDS}"; it must be a number of seconds, such as KILL_SECONDS=5.`,
    );
  const seed = Number(environment.SEED || 1);
  if (!Number.isInteger(seed)) throw new Problem(`SEED is "${environment.SEED}"; it must be a whole number.`);
  return { everySeconds, seed };
}

/** Kills a service taken by the seed every so many seconds, and the broker twice where the shop has one of its own. */
export function startKilling(
  shop: Pick<RunningShop, "kill" | "kafka">,
  { everySeconds, seed }: KillingChoice,
  say: (sentence: string) => void,
): Killing {
  const random = seeded(seed);
  const killed = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;

  /** False where it does not run, because it is on its way up after an earlier death. */
  function kill(name: string): boolean {
    try {
      shop.kill(name);
    } catch {
      return false;
    }
    killed.set(name, (killed.get(name) ?? 0) + 1);
    say(`Killed ${name}.`);
    return true;
  }

  async function killServices(): Promise<void> {
    for (;;) {
      await sleep(everySeconds * 1_000, undefined, { signal });
      const first = Math.floor(random() * services.length);
      services.some((_, index) => kill(services[(first + index) % services.length]!.name));
    }
  }

  /** Also after the end of the replay, where it is on its way up from the time before. */
  async function killBroker(): Promise<void> {
    const giveUpAt = performance.now() + brokerPatienceMs;
    while (!kill(broker.name) && performance.now() < giveUpAt) await sleep(100);
  }

  const under = [
    killServices().catch((error: Error) => {
      if (!signal.aborted) throw error;
    }),
  ];

  return {
    watched: (start) => (what, total, done) => {
      const line = start(what, total, done);
      if (shop.kafka !== true || what !== "invoices") return line;
      const due = brokerKilledAt.map((share) => Math.ceil((total - done) * share));
      let count = 0;
      return {
        tick(more = 1) {
          line.tick(more);
          count += more;
          while (due[0] !== undefined && count >= due[0]) {
            due.shift();
            under.push(killBroker());
          }
        },
        end: () => line.end(),
      };
    },
    async stop() {
      stopping.abort();
      await Promise.all(under);
      return killed;
    },
  };
}

/** How often what was killed, in words, e.g. "orders 3 times, kafka 2 times". */
export function killedInWords(killed: Map<string, number>): string {
  const each = [...killed].map(([name, count]) => `${name} ${count === 1 ? "once" : `${count} times`}`);
  return each.length > 0 ? each.join(", ") : "nothing";
}
