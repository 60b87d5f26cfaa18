import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const point = "transaction.before-commit";

export default scenario({
  number: 1,
  name: "killed-before-commit",
  fault: "killed before commit",
  hypothesis:
    "An order whose transaction was not committed never was; asked again with the same key, it is placed once.",
  expectation: "nothing happened; retry works",
  async run({ points, processes, inject, heal, fired, expect, count, place, articles, shopper, persist, until }) {
    for (let round = 0; round < 3; round++) {
      const before = processes.restartsOf("orders");
      const buyer = await shopper();
      const submit = { idempotencyKey: randomUUID() };
      const orders = () => count("SELECT count(*) FROM orders.orders WHERE placed_by = $1", [buyer.id]);
      // Whose purchase of all that are under way meets it is chance; it is this one's if it is first.
      await inject("orders dies before it commits an order", () =>
        points.set("orders", [{ point, action: "kill", match: "orders.order-placed.v1", times: 1 }]),
      );
      const unheard = place(buyer, articles, submit).then(
        () => "answered",
        () => "not answered",
      );
      await until("the death of orders", () => processes.restartsOf("orders") > before);
      if ((await unheard) === "not answered") expect("nothing happened", (await orders()) === 0);
      await processes.untilReady("orders");
      await heal("orders is back");
      const again = await persist(() => place(buyer, articles, submit));
      expect("a retry works", again.__typename === "OrderPlaced", again.__typename);
      expect("one order", (await orders()) === 1);
    }
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
  },
});
