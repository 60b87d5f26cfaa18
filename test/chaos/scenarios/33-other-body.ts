import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 33,
  name: "other-body",
  fault: "same key, other body",
  hypothesis: "A key stands for one request: used for another it is refused, and nothing is done for the second one.",
  expectation: "error, no effect",
  async run({ inject, heal, fired, expect, count, place, articles, shopper, persist, until, load }) {
    let refused = 0;
    for (let round = 0; round < 5; round++) {
      const buyer = await shopper();
      const idempotencyKey = randomUUID();
      const { order } = await persist(() => place(buyer, articles, { idempotencyKey }));
      const other = { idempotencyKey, lines: [{ skuId: articles[0]!.skuId, quantity: 7 }] };
      const answers = await inject("the key comes back with another body, three at once", () =>
        Promise.all([1, 2, 3].map(() => persist(() => place(buyer, articles, other)))),
      );
      refused += answers.filter(({ __typename }) => __typename === "KeyReused").length;
      // The first request may still be repeated.
      const again = await persist(() => place(buyer, articles, { idempotencyKey }));
      expect("the first request keeps its answer", again["order"]?.number === order.number, again);
      const lines = await count(
        "SELECT coalesce(sum(quantity), 0) FROM orders.order_lines JOIN orders.orders o ON o.id = order_id WHERE placed_by = $1",
        [buyer.id],
      );
      expect("the order is the first one's, and the only one", lines === articles.length, lines);
    }
    fired(refused, "KeyReused in answers");
    expect("every other body is refused", refused === 15, refused);
    await heal("no more of it");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
