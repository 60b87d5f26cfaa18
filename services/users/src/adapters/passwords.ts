import { randomUUID } from "node:crypto";
import { retryable } from "@crowdcrunch/kit/errors";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import { hash, verify } from "@node-rs/argon2";

/** Hashes passwords, one at a time, because each takes 19 MiB and tens of milliseconds of a core. */
export interface Passwords {
  /** An argon2id hash with its parameters and salt. Throws BUSY where too many wait. */
  hash(password: string): Promise<string>;
  /** True where the password belongs to the hash. Without a hash it takes the same time and is false. Throws BUSY. */
  verify(passwordHash: string | null, password: string): Promise<boolean>;
}

/** OWASP's first choice for argon2id; the algorithm is the library's default. */
const cost = { memoryCost: 19 * 1_024, timeCost: 2, parallelism: 1 };

export function createPasswords(options: { mostWaiting: number; metrics: Metrics }): Passwords {
  const hashed = options.metrics.counter(
    "crowdcrunch_passwords_hashed_total",
    "Passwords that were hashed, to be kept or to be compared",
  );
  // Made before anybody asks: whoever asks first for somebody unknown must not wait longer for it.
  const nobodys = hash(randomUUID(), cost);
  let last: Promise<unknown> = nobodys;
  let waiting = 0;

  async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (waiting >= options.mostWaiting) {
      throw retryable("BUSY", "Too many people sign in at this moment; try again.", 1_000);
    }
    waiting += 1;
    const turn = last
      .then(() => {
        hashed.inc();
        return work();
      })
      .finally(() => (waiting -= 1));
    last = turn.catch(() => {});
    return turn;
  }

  return {
    hash: (password) => inTurn(() => hash(password, cost)),
    verify: (passwordHash, password) =>
      inTurn(async () => (await verify(passwordHash ?? (await nobodys), password)) && passwordHash !== null),
  };
}
