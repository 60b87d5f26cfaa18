import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const point = "transaction.after-commit";

export default scenario({
  number: 2,
  name: "killed-before-reply",
  fault: "killed after commit, before the reply",
  hypothesis: "An order whose shopper never got the answer is there, and the same key gives it to them.",
  expectation: "same key, same result",
  async run({ points, processes, inject, heal, fired, expect, count, place, articles, shopper, persist, until }) {
    for (let round = 0; round < 3; round++) {
      const before = processes.restartsOf("orders");
      const buyer = await shopper();
      const submit = { idempotencyKey: randomUUID() };
      await inject("orders dies once it has committed an order", () =>
        points.set("orders", [{ point, action: "kill", match: "orders.order-placed.v1", times: 1 }]),
      );
      const { order } = await persist(() => place(buyer, articles, submit));
      await until("the death of orders", () => processes.restartsOf("orders") > before);
      await processes.untilReady("orders");
      await heal("orders is back");
      const again = await persist(() => place(buyer, articles, submit));
      expect("the same key gives the same order", again["order"]?.number === order.number, order.number);
      const orders = await count("SELECT count(*) FROM orders.orders WHERE placed_by = $1", [buyer.id]);
      expect("one order", orders === 1, orders);
    }
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
  },
});
