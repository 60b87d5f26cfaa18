import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 6,
  name: "killed-before-offsets",
  fault: "killed after the inbox commit, before the offset commit",
  hypothesis: "Events whose effect is committed come again, are found in the inbox, and have no effect.",
  expectation: "skipped as seen",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["inventory", "consumer.after-commit", "orders.order-placed.v1"],
      ["payments", "consumer.after-commit", "orders.order-shipped.v1"],
      ["orders", "consumer.after-commit", "payments.payment-authorized.v1"],
      ["fulfillment", "consumer.after-commit", "orders.order-confirmed.v1"],
    ]);
    world.fired(deaths, "consumer.after-commit in the logs of those who died");
  },
});
