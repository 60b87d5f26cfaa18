import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 5,
  name: "consumer-killed",
  fault: "consumer killed in a handler",
  hypothesis: "What a handler did without committing never was; the events come again and are handled once.",
  expectation: "rolled back, redelivered",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["inventory", "consumer.in-handler", { match: "orders.order-placed.v1", afterPasses: 2 }],
      ["payments", "consumer.in-handler", { match: "orders.payment-requested.v1", afterPasses: 2 }],
      ["orders", "consumer.in-handler", { match: "inventory.stock-reserved.v1", afterPasses: 2 }],
      ["fulfillment", "consumer.in-handler", { match: "orders.order-confirmed.v1", afterPasses: 2 }],
    ]);
    world.fired(deaths, "consumer.in-handler in the logs of those who died");
  },
});
