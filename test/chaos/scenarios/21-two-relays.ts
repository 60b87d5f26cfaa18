import { endsOf, occurrencesSince } from "../occurrences.ts";
import { scenario } from "../scenario.ts";

const point = "relay.after-append";

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
    // Longer than one relay waits for the other's turn to end.
    await points.set("orders", [{ point, action: "delay", delayMs: 1_500, rate: 0.5 }]);
    const replica = await inject(
      "a second relay of orders begins, and each lingers before it removes what it sent",
      () => processes.replicate("orders", { FAULTS: `${point}:delay:delayMs=1500,rate=0.5` }),
    );
    await until("the second relay at it", () => points.fired(point, replica) > 1);
    await lasts(20);
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
    fired(points.fired(point, replica), `${point} in the log of its replica`);
    await points.set("orders", []);
    await heal("one relay is left", () => processes.stop(replica));
    const { events, repeats, overtaken } = await occurrencesSince(eventLog, "orders", ends);
    expect("both sent the same", repeats > 0, `${repeats} of ${events.length} events repeated`);
    expect("first occurrences in order", overtaken.length === 0, overtaken.slice(0, 3));
  },
});
