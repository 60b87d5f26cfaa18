import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const point = "transaction.before-commit";
const rounds = 6;

export default scenario({
  number: 26,
  name: "connection-lost-at-commit",
  fault: "connection lost at COMMIT",
  hypothesis: "Where nobody knows whether a COMMIT was carried out, whoever asks again with the same key finds out.",
  expectation: "the idempotency key decides",
  async run({ points, inject, heal, fired, expect, say, count, place, articles, shopper, persist, load }) {
    const repeats = load.repeats();
    const orders = (id: string) => count("SELECT count(*) FROM orders.orders WHERE placed_by = $1", [id]);
    let [committed, unheard] = [0, 0];
    await inject("orders and payments lose their connections at COMMIT", async () => {
      // Every order loses it once: what was carried out all the same is found by its key without another.
      await points.set("orders", [{ point, action: "cut", match: "orders.order-placed.v1" }]);
      await points.set("payments", [{ point, action: "cut", match: "/payments\\.payment-/", rate: 0.3 }]);
    });
    for (let round = 0; round < rounds; round++) {
      const buyer = await shopper();
      const submit = { idempotencyKey: randomUUID() };
      const answer = await place(buyer, articles, submit).catch(() => undefined);
      const before = await orders(buyer.id);
      if (answer === undefined) {
        unheard += 1;
        committed += before;
      }
      // The last ones ask again when all is well.
      if (round >= rounds / 2) await points.set("orders", []);
      const first = await persist(() => place(buyer, articles, submit));
      const again = await persist(() => place(buyer, articles, submit));
      const number = first["order"]?.number as string | undefined;
      expect("the same key gives the same order", number !== undefined && again["order"]?.number === number, number);
      const made = await orders(buyer.id);
      expect("one order", made === 1, made);
      if (round >= rounds / 2)
        await points.set("orders", [{ point, action: "cut", match: "orders.order-placed.v1", rate: 0.5 }]);
    }
    say(`${unheard} shoppers were not told, ${committed} of their orders were there all the same`);
    expect("shoppers were not told, and asked again", unheard > 0 && load.repeats() > repeats, unheard);
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
