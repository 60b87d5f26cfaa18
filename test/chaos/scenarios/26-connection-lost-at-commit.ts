import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const point = "transaction.before-commit";
const rounds = 6;

export default scenario({
  number: 26,
  name: "connection-lost-at-commit",
  fault: "connection lost at COMMIT",
  hypothesis:
    "Where nobody knows whether a COMMIT was carried out, its key tells: the service that lost the answer looks, and so can the shopper.",
  expectation: "the idempotency key decides",
  async run({ points, inject, heal, fired, expect, say, count, place, articles, shopper, persist, lasts }) {
    const orders = (id: string) => count("SELECT count(*) FROM orders.orders WHERE placed_by = $1", [id]);
    let [told, made] = [0, 0];
    await inject("orders and payments lose their connections at COMMIT", async () => {
      await points.set("orders", [{ point, action: "cut", match: "orders.order-placed.v1" }]);
      await points.set("payments", [{ point, action: "cut", match: "/payments\\.payment-/", rate: 0.3 }]);
    });
    for (let round = 0; round < rounds; round++) {
      const buyer = await shopper();
      const submit = { idempotencyKey: randomUUID() };
      const lost = points.fired(point, "orders");
      const answer = await place(buyer, articles, submit).catch(() => undefined);
      expect("the connection was lost", points.fired(point, "orders") > lost);
      if (answer) told += 1;
      made += await orders(buyer.id);
      const again = await persist(() => place(buyer, articles, submit));
      const number = again["order"]?.number as string | undefined;
      const first = (answer ?? again)["order"]?.number as string | undefined;
      expect("the same key gives the same order", number !== undefined && first === number, number);
      const all = await orders(buyer.id);
      expect("one order", all === 1, all);
    }
    say(`of ${rounds} orders ${made} were made without an answer to COMMIT; ${told} shoppers were told so at once`);
    await lasts(10);
    await heal("connections hold", async () => {
      await points.set("orders", []);
      await points.set("payments", []);
    });
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
    fired(points.fired(point, "payments"), `${point} in the log of payments`);
    expect("both lost some", points.fired(point, "orders") > 0 && points.fired(point, "payments") > 0);
  },
  async afterQuiet({ expect, count }) {
    const doubled = await count(
      `SELECT count(*) FROM (SELECT FROM orders.orders WHERE idempotency_key IS NOT NULL
         GROUP BY placed_by, idempotency_key HAVING count(*) > 1) AS doubled`,
    );
    expect("one order for each key", doubled === 0, doubled);
  },
});
