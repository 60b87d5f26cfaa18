import { setTimeout as sleep } from "node:timers/promises";

export type Say = (line: string) => void;

/** One line for whoever reads the log. */
export const say: Say = (line) => void process.stdout.write(`${line}\n`);

const againAfterMs = 10_000;

/** Says why something waits: at once, when the reason changes, and every ten seconds. */
export function waitingFor(what: string, tell: Say): (reason: string) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  let told = "";
  return (reason) => {
    if (reason === told && performance.now() - toldMs < againAfterMs) return;
    [told, toldMs] = [reason, performance.now()];
    tell(`Waiting for ${what}: ${reason}`);
  };
}

/** Looks every second, as long as it takes, until there is something; `look` says why there is nothing yet. */
export async function untilThere<Seen>(
  what: string,
  tell: Say,
  look: (waiting: (reason: string) => void) => Promise<Seen | undefined>,
): Promise<Seen> {
  const waiting = waitingFor(what, tell);
  for (;;) {
    const seen = await look(waiting);
    if (seen !== undefined) return seen;
    await sleep(1_000);
  }
}

/** Ends the process on the signals that end a pod: process 1 of a container has no other way. */
export function endOnSignals(): void {
  for (const [signal, code] of [
    ["SIGTERM", 143],
    ["SIGINT", 130],
  ] as const)
    process.once(signal, () => process.exit(code));
}
