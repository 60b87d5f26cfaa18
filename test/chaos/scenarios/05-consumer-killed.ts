import { scenario } from "../scenario.ts";

const point = "consumer.in-handler";
/** Who is killed, in the middle of which events. */
const victims = [
  ["inventory", "orders.order-placed.v1"],
  ["payments", "orders.payment-requested.v1"],
  ["orders", "inventory.stock-reserved.v1"],
  ["fulfillment", "orders.order-confirmed.v1"],
] as const;

export default scenario({
  number: 5,
  name: "consumer-killed",
  fault: "consumer killed in a handler",
  hypothesis: "What a handler did without committing never was; the events come again and are handled once.",
  expectation: "rolled back, redelivered",
  async run({ points, processes, inject, heal, fired, until, load }) {
    for (const [victim, match] of victims) {
      const before = processes.restartsOf(victim);
      await inject(`${victim} dies with ${match} in its hands`, () =>
        points.set(victim, [{ point, action: "kill", match, times: 1, afterPasses: 2 }]),
      );
      await until(`the death of ${victim}`, () => processes.restartsOf(victim) > before);
      await processes.untilReady(victim);
      await heal(`${victim} is back`);
      const acknowledged = load.acknowledged.length;
      await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
    }
    fired(points.fired(point), `${point} in the logs of ${victims.map(([victim]) => victim).join(", ")}`);
  },
});
