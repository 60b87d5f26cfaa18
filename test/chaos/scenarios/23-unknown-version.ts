import { handledTypes } from "@crowdcrunch/auditor/handled";
import { v7 as uuidv7 } from "uuid";
import { endsOf, occurrencesSince } from "../occurrences.ts";
import { discardParked, parkedOf } from "../parked.ts";
import { scenario } from "../scenario.ts";

const reason = "sent by a release that was taken back";
const readersOf = (isHandled: (type: string) => boolean) =>
  Object.keys(handledTypes).filter((service) => handledTypes[service]!.some(isHandled));
/** What a release of orders that is newer than its readers may send, and who must not miss it. */
const unknown = [
  { type: "orders.order-placed.v2", readers: readersOf((type) => type === "orders.order-placed.v1") },
  // It may be meant for any of those that read what orders tells.
  { type: "orders.order-praised.v1", readers: readersOf((type) => type.startsWith("orders.")) },
];

export default scenario({
  number: 23,
  name: "unknown-version",
  fault: "unknown event version",
  hypothesis: "What a service does not know yet is kept for a person to decide, by all who might need it.",
  expectation: "parked, never dropped",
  async run(world) {
    const { eventLogAs, points, inject, heal, fired, expect, count, until, load } = world;
    const eventLog = await eventLogAs("orders");
    const ends = await endsOf(eventLog, "orders");
    const known = await until("an event", async () =>
      (await occurrencesSince(eventLog, "orders", ends)).events.find(({ type }) => type === "orders.order-placed.v1"),
    );
    for (const { type, readers } of unknown) {
      const orderId = uuidv7();
      const data = { ...(known.data as object), orderId, mood: "merry" };
      const event = { ...known, id: uuidv7(), type, key: orderId, subject: orderId, sequence: 1, data };
      await inject(`${type} comes`, () => eventLog.append("orders", [event]));
      for (const reader of readers) {
        await until(`parked at ${reader}`, async () => {
          const { parked, incidents } = await parkedOf(world, reader, orderId);
          return parked === 1 && incidents === 1;
        });
        fired(points.logged(reader, `no contract for ${type}`), `${reader} does not know ${type}`);
      }
      const parked = await Promise.all(Object.keys(handledTypes).map((name) => parkedOf(world, name, orderId)));
      const others = parked.reduce((sum, one) => sum + one.parked, -readers.length);
      expect("nobody else is held up by it", others === 0, others);

      for (const reader of readers) {
        await discardParked(world, reader, event.id, reason);
        const resolved = await count(
          `SELECT count(*) FROM ${reader}.incidents WHERE subject = $1 AND resolved_at IS NOT NULL AND resolution LIKE $2`,
          [orderId, `%discarded ${type} ${event.id}: ${reason}`],
        );
        expect(`the incident of ${reader} is resolved and says why`, resolved === 1, resolved);
      }
    }
    await heal("a person has discarded them");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
