import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 4,
  name: "killed-before-mark",
  fault: "killed after the broker's ack, before the mark",
  hypothesis: "Events that the broker has and the outbox still too are sent once more, and have their effect once.",
  expectation: "duplicate; inbox absorbs it",
  needs: "kafka",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["orders", "relay.after-append", "orders.order-placed.v1"],
      ["payments", "relay.after-append", "payments.payment-authorized.v1"],
      ["orders", "relay.after-append", "orders.order-shipped.v1"],
    ]);
    world.fired(deaths, "relay.after-append in the logs of those who died");
  },
  async afterQuiet({ expect, eventLogAs }) {
    const seen = new Map<string, number>();
    for (const topic of ["orders", "payments"])
      for await (const { id } of (await eventLogAs("orders")).read(topic)) seen.set(id, (seen.get(id) ?? 0) + 1);
    const repeated = [...seen.values()].filter((times) => times > 1).length;
    expect("events lie in the log twice", repeated > 0, `${repeated} of ${seen.size}`);
  },
});
