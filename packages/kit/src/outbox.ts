import type { EventToEmit } from "@crowdcrunch/events/contract";
import { jsonOfData } from "./event-data.ts";
import { statement } from "./statement.ts";
import type { Queryable } from "./statement.ts";

const insertEvents = statement(
  "outboxInsert",
  `INSERT INTO outbox (event_id, type, key, subject, sequence, republished, data)
   SELECT event_id, type, key, subject, sequence, republished, data::json
   FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::boolean[], $7::text[])
     WITH ORDINALITY AS e(event_id, type, key, subject, sequence, republished, data, position)
   ORDER BY position`,
);

/** An event whose data are text already. */
export interface OutboxEvent extends Omit<EventToEmit, "data"> {
  data: string;
}

/** Makes the event ready to be written. Refuses one beyond 512 kB with a RangeError that names it. */
export function outboxEvent(event: EventToEmit): OutboxEvent {
  return { ...event, data: jsonOfData(event) };
}

/** Writes events to the outbox in one statement. */
export async function insertIntoOutbox(tx: Queryable, events: OutboxEvent[], newId: () => string): Promise<void> {
  await tx.run(insertEvents, [
    events.map(() => newId()),
    events.map((event) => event.type),
    events.map((event) => event.key),
    events.map((event) => event.subject),
    events.map((event) => event.sequence),
    events.map((event) => event.republished ?? false),
    events.map((event) => event.data),
  ]);
}
