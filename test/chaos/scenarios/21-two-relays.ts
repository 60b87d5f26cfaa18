import { endsOf, occurrencesSince } from "../occurrences.ts";
import { scenario } from "../scenario.ts";

const point = "relay.after-append";
/** Longer than a relay waits for the other's turn to end, which is 1 s and more on a busy machine. */
const lingerMs = 4_000;

export default scenario({
  number: 21,
  name: "two-relays",
  fault: "two relays at once",
  hypothesis:
    "Two relays that empty one outbox at once repeat events, and never let a later one out before an earlier.",
  expectation: "first occurrences in order; repeats absorbed",
  // The embedded log takes events and empties the outbox in one transaction.
  needs: "kafka",
  async run({ points, processes, eventLogAs, inject, heal, fired, expect, lasts, until }) {
    const eventLog = await eventLogAs("orders");
    const ends = await endsOf(eventLog, "orders");
    await points.set("orders", [{ point, action: "delay", delayMs: lingerMs, rate: 0.5 }]);
    const replica = await inject(
      "a second relay of orders begins, and each lingers before it removes what it sent",
      () => processes.replicate("orders", { FAULTS: `${point}:delay:delayMs=${lingerMs},rate=0.5` }),
    );
    await until("the second relay at it", () => points.fired(point, replica) > 1);
    await lasts(20);
    await until("a repeat", async () => (await occurrencesSince(eventLog, "orders", ends)).repeats > 0);
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
    fired(points.fired(point, replica), `${point} in the log of its replica`);
    await points.set("orders", []);
    await heal("one relay is left", () => processes.stop(replica));
    const { events, repeats, overtaken } = await occurrencesSince(eventLog, "orders", ends);
    fired(repeats, `of ${events.length} events of orders, those that both relays sent`);
    expect("first occurrences in order", overtaken.length === 0, overtaken.slice(0, 3));
  },
});
