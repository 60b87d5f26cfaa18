import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";
import { handledTypes } from "./handled.ts";
import type { Query } from "./query.ts";
import type { Expectation } from "./waitlist.ts";

/** An event that a consumer must have in its inbox, waiting or parked. */
export interface Receipt extends Expectation {
  id: string;
}

/** Inboxes keep eight days; of older events nothing can be said. */
export const receiptsDays = 7;

/** A known event in a version that its consumer does not know must be parked, so types count without their version. */
const nameOf = (type: string) => type.replace(/\.v\d+$/, "");

const consumersByName = new Map<string, string[]>();
for (const [consumer, types] of Object.entries(handledTypes)) {
  for (const type of types) {
    const name = nameOf(type);
    consumersByName.set(name, [...(consumersByName.get(name) ?? []), consumer]);
  }
}

/** What must have become of an event: a receipt for each service that handles its type, unless it is too old. */
export function receiptsOf(event: DeliveredEvent, oldestMs: number): Receipt[] {
  const consumers = consumersByName.get(nameOf(event.type));
  if (!consumers || madeAtMs(event.id) < oldestMs) return [];
  const { id, type, topic, partition, offset } = event;
  return consumers.map((consumer) => ({
    name: `${consumer} ${id}`,
    consumer,
    id,
    topic,
    partition,
    offset,
    row: { consumer, type, id },
  }));
}

/** When a UUIDv7 was made, in ms of Unix time. */
function madeAtMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Those that their consumers do not have. */
export async function missingReceipts(query: Query, receipts: Receipt[]): Promise<Receipt[]> {
  const missing: Receipt[] = [];
  for (const [consumer, of] of Map.groupBy(receipts, (receipt) => receipt.consumer)) {
    const rows = await query<{ id: string }>(
      `SELECT e.id::text FROM unnest($1::uuid[]) AS e(id)
       WHERE NOT EXISTS (SELECT FROM ${consumer}.inbox i WHERE i.event_id = e.id)
         AND NOT EXISTS (SELECT FROM ${consumer}.waiting w WHERE w.event_id = e.id)
         AND NOT EXISTS (SELECT FROM ${consumer}.parked p WHERE p.event_id = e.id)`,
      [of.map(({ id }) => id)],
    );
    const ids = new Set(rows.map(({ id }) => id));
    missing.push(...of.filter(({ id }) => ids.has(id)));
  }
  return missing;
}
