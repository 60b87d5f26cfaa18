import type { Query } from "./query.ts";

/** A table of aggregates that count their events. */
export interface AggregateTable {
  /** The service that keeps it, and the topic of its events. */
  topic: string;
  table: string;
  id: string;
  version: string;
}

const tables = [
  ["users", "users", "id", "version"],
  ["customers", "customers", "id", "version"],
  ["inventory", "products", "id", "version"],
  ["inventory", "skus", "id", "availability_version"],
  ["inventory", "order_stock", "order_id", "version"],
  ["orders", "orders", "id", "version"],
  ["payments", "payments", "id", "version"],
  ["payments", "refunds", "id", "version"],
  ["fulfillment", "fulfillments", "order_id", "version"],
  ["exchanges", "returns", "id", "version"],
  ["exchanges", "exchanges", "id", "version"],
] as const;

/** The tables of a topic's aggregates. */
export function aggregatesOf(topic: string): AggregateTable[] {
  return tables.filter(([name]) => name === topic).map(([_, table, id, version]) => ({ topic, table, id, version }));
}

export interface StoredAggregate extends Record<string, unknown> {
  subject: string;
  version: number;
}

/** The next aggregates of a table in the order of their ids, after this one. */
export function aggregatesAfter(
  query: Query,
  { topic, table, id, version }: AggregateTable,
  after: string | undefined,
  limit: number,
): Promise<StoredAggregate[]> {
  return query<StoredAggregate>(
    `SELECT ${id}::text AS subject, ${version} AS version FROM ${topic}.${table}
     WHERE $1::uuid IS NULL OR ${id} > $1 ORDER BY ${id} LIMIT $2`,
    [after ?? null, limit],
  );
}

/** The highest version of these subjects that is in their service's outbox still. */
export async function versionsInOutbox(query: Query, topic: string, subjects: string[]): Promise<Map<string, number>> {
  const rows = await query<StoredAggregate>(
    `SELECT subject, max(sequence) AS version FROM ${topic}.outbox
     WHERE subject = ANY($1) AND NOT republished GROUP BY subject`,
    [subjects],
  );
  return new Map(rows.map(({ subject, version }) => [subject, version]));
}
