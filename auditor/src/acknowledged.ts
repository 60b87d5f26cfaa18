import type { Client, Pool } from "pg";

/**
 * Invariant 22: which of the orders that clients were told of are missing. A driver calls it with the ids from its own
 * log, once it has stopped; the client may be any role that reads orders.
 */
export async function missingAcknowledged(client: Client | Pool, orderIds: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT DISTINCT told.id::text AS id FROM unnest($1::uuid[]) AS told(id)
     WHERE NOT EXISTS (SELECT FROM orders.orders o WHERE o.id = told.id)`,
    [orderIds],
  );
  return rows.map(({ id }) => id);
}
