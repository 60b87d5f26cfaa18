import { setTimeout as sleep } from "node:timers/promises";
import type { EventRecord } from "@crowdcrunch/kit/eventlog";
import type { Pool } from "pg";
import { v7 as uuidv7 } from "uuid";
import { endsOf, occurrencesSince } from "../occurrences.ts";
import { scenario } from "../scenario.ts";

const point = "relay.before-append";
/** Those that tell much of one thing in a short time; together where none waits for the other meanwhile. */
const rounds = [["orders", "inventory"], ["fulfillment"]];
const publishers = rounds.flat();

export default scenario({
  number: 19,
  name: "reordered",
  fault: "events repeated late or reordered within a key",
  hypothesis:
    "Whoever is told too early waits for what comes before it, and whoever is told too late keeps what is newer.",
  expectation: "process managers wait or ignore, projections keep the newer version",
  async run({ points, eventLogAs, books, tell, staff, article, inject, heal, fired, expect, count, until, load }) {
    const { skuId, productId } = await article(1_000);
    const topics = await Promise.all(
      publishers.map(async (name) => {
        const eventLog = await eventLogAs(name);
        return { name, eventLog, ends: await endsOf(eventLog, name) };
      }),
    );
    for (const together of rounds) {
      // While the relays are held, a few seconds of events gather; they come backwards before the relays send them.
      for (const name of together) await points.set(name, [{ point, action: "delay", delayMs: 6_000, times: 1 }]);
      for (const amountMinor of [1_301, 1_302, 1_303])
        await tell("setPrice", await staff(), { skuId, currency: "GBP", amountMinor });
      await sleep(3_500);
      const held = topics.filter(({ name }) => together.includes(name));
      await inject(`what waits in the outboxes of ${together.join(" and ")} comes backwards`, () =>
        Promise.all(held.map(async ({ name, eventLog }) => eventLog.append(name, await backwards(books, name)))),
      );
      const acknowledged = load.acknowledged.length;
      await until("more purchases", () => load.acknowledged.length > acknowledged + 20);
    }
    const told = await Promise.all(topics.map(({ name, eventLog, ends }) => occurrencesSince(eventLog, name, ends)));
    for (const [index, { overtaken }] of told.entries())
      fired(overtaken.length, `events of ${publishers[index]} that came behind a later one`);

    const newest = await count("SELECT version FROM inventory.products WHERE id = $1", [productId]);
    const known = (reader: string) => `SELECT version FROM ${reader} WHERE product_id = $1 AND version >= $2`;
    const readModels = ["orders.catalogue_products", "frontend.products"];
    for (const readModel of readModels)
      await until(
        `the newest price in ${readModel}`,
        async () => (await count(known(readModel), [productId, newest])) > 0,
      );

    const [, inventory] = topics;
    const old = told[1]!.events.find(({ subject, sequence }) => subject === productId && sequence < newest)!;
    const outdated = { ...old, id: uuidv7(), republished: true };
    await inject("all of it comes once more, from the last to the first, and an old state as news", async () => {
      for (const [index, { name, eventLog }] of topics.entries())
        await eventLog.append(name, told[index]!.events.toReversed());
      await inventory!.eventLog.append("inventory", [outdated]);
    });
    for (const reader of ["orders", "frontend"]) {
      const read = `SELECT count(*) FROM ${reader}.inbox WHERE event_id = $1`;
      await until(`the old state at ${reader}`, async () => (await count(read, [outdated.id])) === 1, 60);
    }
    for (const readModel of readModels)
      expect(`${readModel} keeps what is newer`, (await count(known(readModel), [productId, newest])) === newest);
    await heal("no more of it");
  },
});

/** What waits in an outbox, the last first. */
async function backwards(books: Pool, publisher: string): Promise<EventRecord[]> {
  const { rows } = await books.query(
    `SELECT event_id AS id, type, key, subject, sequence, time, traceparent, republished, data
     FROM ${publisher}.outbox ORDER BY outbox.id DESC`,
  );
  return rows.map(({ time, traceparent, republished, ...event }) => ({
    ...(event as Omit<EventRecord, "time">),
    time: (time as Date).toISOString(),
    ...(traceparent === null ? {} : { traceparent }),
    ...(republished ? { republished } : {}),
  }));
}
