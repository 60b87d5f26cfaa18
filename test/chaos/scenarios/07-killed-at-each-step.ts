import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

const committing = "transaction.before-commit";

export default scenario({
  number: 7,
  name: "killed-at-each-step",
  fault: "killed at each saga step and each compensation",
  hypothesis:
    "Whoever dies while an order takes a step, forward or back, takes it when it is up again, and takes it once.",
  expectation: "resumes; one terminal state",
  perSecond: 8,
  async run(world) {
    const deaths = await dieInTurn(world, [
      // Forward: placed, reserved, payment requested, authorized, confirmed, a parcel, shipped, captured, completed.
      ["inventory", committing, "inventory.stock-reserved.v1"],
      ["orders", committing, "orders.payment-requested.v1"],
      ["payments", committing, "payments.payment-authorized.v1"],
      ["orders", committing, "orders.order-confirmed.v1"],
      ["fulfillment", committing, "fulfillment.shipment-dispatched.v1"],
      ["orders", committing, "orders.order-shipped.v1"],
      ["payments", committing, "payments.payment-captured.v1"],
      ["orders", committing, "orders.order-completed.v1"],
      // Back: cancelled, stock released, the hold given up.
      ["orders", committing, "orders.order-cancelled.v1"],
      ["inventory", committing, "inventory.stock-released.v1"],
      ["payments", committing, "payments.payment-voided.v1"],
    ]);
    world.fired(deaths, `${committing} in the logs of those who died`);
  },
});
