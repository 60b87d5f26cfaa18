import { randomUUID } from "node:crypto";
import { v7 as uuidv7 } from "uuid";
import { endsOf, occurrencesSince } from "../occurrences.ts";
import { discardParked, parkedOf, replayParked } from "../parked.ts";
import { scenario } from "../scenario.ts";

/** Who handles order-placed. */
const readers = ["inventory", "exchanges", "frontend"];

export default scenario({
  number: 22,
  name: "poison-event",
  fault: "poison event",
  hypothesis:
    "An event that cannot be handled holds up its own order alone, and says so; once a person has discarded it, the order goes on.",
  expectation: "its key is parked, others flow, alert",
  async run(world) {
    const { shop, eventLogAs, points, place, persist, shopper, articles } = world;
    const { inject, heal, fired, expect, count, until } = world;
    const eventLog = await eventLogAs("orders");
    const ends = await endsOf(eventLog, "orders");
    const buy = async () => (await persist(async () => place(await shopper(), articles)))["order"].id as string;
    const reaches = (id: string, what: string) => async () =>
      (await count("SELECT count(*) FROM orders.timeline WHERE order_id = $1 AND what = $2", [id, what])) === 1;

    const sick = await buy();
    const placed = await until("the event of the order", async () =>
      (await occurrencesSince(eventLog, "orders", ends)).events.find(({ key }) => key === sick),
    );
    // Without lines it breaks its contract. A zero byte is what Postgres takes in no text, and the embedded log not at all.
    const data = { ...(placed.data as object), lines: [], note: shop.kafka ? "\0" : "" };
    const poison = { ...placed, id: uuidv7(), subject: randomUUID(), sequence: 1, data };
    await inject("an event that nobody can handle comes behind that of an order", () =>
      eventLog.append("orders", [poison]),
    );
    for (const reader of readers)
      await until(`parked at ${reader}`, async () => (await parkedOf(world, reader, sick)).parked > 0);
    for (const reader of readers) {
      fired(points.logged(reader, "event is parked"), `${reader} says that an event is parked`);
      const { incidents } = await parkedOf(world, reader, sick);
      expect(`${reader} has an open incident`, incidents === 1, incidents);
    }
    await until("another's order CONFIRMED meanwhile", reaches(await buy(), "CONFIRMED"), 60);
    const behind = async () => (await parkedOf(world, "inventory", sick)).parked > 1;
    await until("later events of the order parked behind it", behind, 60);
    const others = await count(
      "SELECT count(*) FROM inventory.parked WHERE key <> $1 AND parked_at > (SELECT min(parked_at) FROM inventory.parked WHERE key = $1)",
      [sick],
    );
    expect("no other key is parked", others === 0, others);

    for (const reader of readers) {
      const discarded = await discardParked(world, reader, poison.id, "it has no lines; the order has its own event");
      expect(`${reader} lets go of it`, discarded === 1, discarded);
      await until(`all of the key handled at ${reader}`, async () => {
        await replayParked(world, reader, sick);
        const { parked, incidents } = await parkedOf(world, reader, sick);
        return parked === 0 && incidents === 0;
      });
    }
    await heal("a person has discarded it");
    await until("the end of the order", reaches(sick, "COMPLETED"), 60);
  },
});
