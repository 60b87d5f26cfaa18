import type { FaultPoint } from "@crowdcrunch/kit/faults";
import type { World } from "./world.ts";

/** What passes the points of the provider and of who calls it: "POST /v1/authorizations <key>". */
const passing = /^(GET|POST) \S+ (\S+)$/;

/** The kinds of operations that a steady load makes often, as they stand in keys. */
export const operationKinds = [":AUTHORIZE:", ":CAPTURE:", ":VOID:"];

/** Has payments note each call to the provider in its log, in place of the faults that it had. */
export async function traceCalls({ points, until }: World): Promise<void> {
  const point = "provider.before-call";
  await points.set("payments", [{ point, action: "delay", delayMs: 1 }]);
  // Those that passed before are not noted.
  await until("calls to the provider", () => points.fired(point, "payments") > 10);
}

/**
 * How payments has called the provider for each of these keys since then: "POST GET POST" is asked, looked up, asked
 * again. Operations with a card that fails once by itself are left out: their first call may lie before the trace. Throws
 * where no other is left.
 */
export async function callsOf({ points, books }: World, keys: string[]): Promise<string[]> {
  const outages = "SELECT idempotency_key AS key FROM provider.outages WHERE idempotency_key = ANY($1)";
  const { rows } = await books.query<{ key: string }>(outages, [keys]);
  const failedOnce = new Set(rows.map(({ key }) => key));
  const calls = new Map<string, string[]>(keys.filter((key) => !failedOnce.has(key)).map((key) => [key, []]));
  if (calls.size === 0) throw new Error(`of ${keys.length} operations none met this fault alone`);
  for (const detail of points.details("provider.before-call", "payments")) {
    const [, method, key] = passing.exec(detail)!;
    calls.get(key!)?.push(method!);
  }
  return [...calls.values()].map((methods) => methods.join(" "));
}

/** The keys of the requests at which a point of the provider fired, each once: what is asked for again may meet it again. */
export function keysAt({ points }: World, point: FaultPoint): string[] {
  return [...new Set(points.details(point, "provider").map((detail) => passing.exec(detail)![2]!))];
}

/** Waits until the shop has stored for each of these keys what stands in the provider's book. */
export async function untilResolved({ until, count }: World, keys: string[]): Promise<void> {
  await until(
    `the outcomes of ${keys.length} operations`,
    async () => (await count(agreed, [keys])) === keys.length,
    60,
  );
}

const agreed = `SELECT count(*) FROM payments.operations o JOIN provider.operations p
  ON p.idempotency_key = concat_ws(':', o.payment_id, o.kind, o.sequence, o.attempt)
  AND p.status = o.status AND p.amount_minor = o.amount_minor
  WHERE p.idempotency_key = ANY($1)`;
