import type { EventToEmit } from "@crowdcrunch/events/contract";
import { maxEventBytes } from "./eventlog.ts";
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

/** Writes events to the outbox in one statement. Refuses an event beyond 512 kB with a RangeError that names it. */
export async function insertIntoOutbox(tx: Queryable, events: EventToEmit[], newId: () => string): Promise<void> {
  const data = events.map((event) => {
    const text = JSON.stringify(event.data);
    const bytes = Buffer.byteLength(text);
    if (bytes > maxEventBytes) {
      throw new RangeError(`${event.type} of ${event.subject} has ${bytes} bytes; events may have ${maxEventBytes}`);
    }
    return text;
  });
  await tx.run(insertEvents, [
    events.map(() => newId()),
    events.map((event) => event.type),
    events.map((event) => event.key),
    events.map((event) => event.subject),
    events.map((event) => event.sequence),
    events.map((event) => event.republished ?? false),
    data,
  ]);
}
