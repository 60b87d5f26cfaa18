import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 3,
  name: "killed-before-publish",
  fault: "killed after commit, before publish",
  hypothesis: "What was committed is published, though the process that committed it is gone before it could.",
  expectation: "relay publishes",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["orders", "relay.before-append", "orders.order-placed.v1"],
      ["inventory", "relay.before-append", "inventory.stock-reserved.v1"],
      ["payments", "relay.before-append", "payments.payment-authorized.v1"],
    ]);
    world.fired(deaths, "relay.before-append in the logs of those who died");
  },
});
