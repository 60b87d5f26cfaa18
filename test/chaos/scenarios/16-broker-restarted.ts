import { endsOf, occurrencesSince } from "../occurrences.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 16,
  name: "broker-restarted",
  fault: "broker restarted in the middle of sends",
  hypothesis:
    "What the broker had when it ended is sent once more at worst; nothing is missing, nothing changes places.",
  expectation: "duplicates only",
  needs: "kafka",
  async run({ broker, link, eventLogAs, points, inject, heal, fired, expect, count, load, until }) {
    const toBroker = link("shop", "broker");
    const eventLog = await eventLogAs("orders");
    const ends = await endsOf(eventLog, "orders");
    const purchases = async (more: number) => {
      const before = load.acknowledged.length;
      await until("more purchases", () => load.acknowledged.length > before + more);
    };
    for (const [how, end] of [
      ["killed", broker.kill],
      ["stopped", broker.stopServing],
      ["killed again", broker.kill],
    ] as const) {
      // Answers are on their way for long, so that some are when the broker ends.
      await toBroker.set({ delayMs: 150 });
      await purchases(5);
      await inject(`the broker is ${how}`, end);
      await toBroker.set({});
      await heal("the broker is back", () => broker.start());
      await purchases(10);
    }
    fired(points.logged("orders", "events wait in the outbox"), "sends of orders that failed");
    await until("an empty outbox", async () => (await count("SELECT count(*) FROM orders.outbox")) < 20, 60);
    const { events, repeats, overtaken } = await occurrencesSince(eventLog, "orders", ends);
    // That none is missing is invariant 17.
    expect("nothing changed places", overtaken.length === 0, overtaken.slice(0, 3));
    fired(repeats, `of ${events.length} events of orders, those that the log has twice`);
  },
});
