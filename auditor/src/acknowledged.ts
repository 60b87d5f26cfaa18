import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Query } from "./query.ts";

/**
 * What a load driver was told of an order. A driver writes one as a line of JSON before it goes on; of several lines
 * about one order the last counts.
 */
export interface Acknowledged {
  /** Of the order. */
  id: string;
  /** The idempotency key that it was placed with. */
  key?: string;
  /** The shop has said that the order is cancelled. */
  wasCancelled?: boolean;
  /** The state that its shopper saw it end in. */
  sawEnd?: string;
  /** The return that the shop has accepted for it. */
  returnNumber?: string;
}

/** What a driver was told and the books do not know. */
export interface Unkept extends Record<string, unknown> {
  id: string;
  why: string;
}

/** Reads a driver's log, "-" from standard input. Throws with the line's number where one is not what it should be; a cut last line is none. */
export async function readDriverLog(file: string): Promise<Acknowledged[]> {
  const content = file === "-" ? await text(process.stdin) : await readFile(file, "utf8");
  const lines = content.split("\n");
  const last = new Map<string, Acknowledged>();
  for (const [index, line] of lines.slice(0, -1).entries()) {
    const told = parse(line);
    if (typeof told?.id !== "string")
      throw new Error(`${file}:${index + 1} is not what a driver was told: a line of JSON with the "id" of an order`);
    last.set(told.id, told);
  }
  return [...last.values()];
}

function parse(line: string): Acknowledged | undefined {
  try {
    return JSON.parse(line) as Acknowledged;
  } catch {
    return undefined;
  }
}

/** Invariant 22: what clients were told of orders and the books do not say, after quiet. Any role that reads orders may. */
export async function unkept(query: Query, told: readonly Acknowledged[]): Promise<Unkept[]> {
  return query<Unkept>(
    `SELECT told.id, CASE
       WHEN o.id IS NULL THEN 'there is no such order'
       WHEN o.idempotency_key::text <> told.key THEN 'it has another key'
       WHEN told."wasCancelled" AND o.status <> 'CANCELLED' THEN 'it was cancelled and is ' || o.status
       WHEN told."sawEnd" <> o.status THEN 'it was seen ' || told."sawEnd" || ' and is ' || o.status
       ELSE 'there is no return ' || told."returnNumber" END AS why
     FROM json_to_recordset($1) AS told(id text, key text, "wasCancelled" boolean, "sawEnd" text, "returnNumber" text)
     LEFT JOIN orders.orders o ON o.id = told.id::uuid
     WHERE o.id IS NULL OR o.idempotency_key::text <> told.key OR told."wasCancelled" AND o.status <> 'CANCELLED'
        OR told."sawEnd" <> o.status
        OR told."returnNumber" IS NOT NULL AND NOT EXISTS (
             SELECT FROM exchanges.returns r WHERE r.number = told."returnNumber" AND r.order_id = o.id)`,
    [JSON.stringify(told)],
  );
}
