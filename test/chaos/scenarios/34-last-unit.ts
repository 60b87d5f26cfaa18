import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const buyers = 500;

export default scenario({
  number: 34,
  name: "last-unit",
  fault: "last unit, 500 buyers",
  hypothesis: "However many want the last unit at once, one gets it, and all others are told so and pay nothing.",
  expectation: "exactly one wins",
  // The 500 are load enough.
  perSecond: 6,
  async run({ inject, heal, fired, expect, count, books, article, place, persist, shopper, until }) {
    const rare = await article(1);
    const crowd = await Promise.all(Array.from({ length: buyers }, () => shopper()));
    const answers = await inject(`${buyers} buyers ask for the last unit`, () =>
      Promise.all(
        crowd.map((buyer) => {
          const idempotencyKey = randomUUID();
          return persist(() => place(buyer, [rare], { idempotencyKey }));
        }),
      ),
    );
    fired(answers.filter(({ __typename }) => __typename === "OrderPlaced").length, "orders placed for one unit");
    const wanted = `FROM orders.orders o JOIN orders.order_lines l ON l.order_id = o.id WHERE l.sku_id = $1`;
    await until(
      "a decision for each",
      async () => (await count(`SELECT count(*) ${wanted} AND o.status = 'PENDING'`, [rare.skuId])) === 0,
      120,
    );
    await heal("all have been told");
    const { rows } = await books.query<{ status: string; count: string }>(
      `SELECT CASE o.status WHEN 'REJECTED' THEN 'rejected' ELSE 'won' END AS status, count(*) ${wanted} GROUP BY 1`,
      [rare.skuId],
    );
    const decided = Object.fromEntries(rows.map(({ status, count: orders }) => [status, Number(orders)]));
    expect("one wins, all others are rejected", decided["won"] === 1 && decided["rejected"] === buyers - 1, decided);
    const held = await count("SELECT coalesce(sum(quantity), 0) FROM inventory.reservations WHERE sku_id = $1", [
      rare.skuId,
    ]);
    expect("one unit is reserved", held === 1, held);
    const asked = await count(
      `SELECT count(DISTINCT p.order_id) FROM payments.payments p JOIN orders.order_lines l ON l.order_id = p.order_id WHERE l.sku_id = $1`,
      [rare.skuId],
    );
    expect("at most one was asked for money", asked <= 1, asked);
  },
});
