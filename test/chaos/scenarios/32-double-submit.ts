import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

/** As many requests with one key at the same moment. */
const atOnce = 10;

export default scenario({
  number: 32,
  name: "double-submit",
  fault: "double submit, same key, at once",
  hypothesis: "However often a shopper clicks, a key has one order; who comes too early is told to ask again.",
  expectation: "one order",
  async run({ inject, heal, fired, expect, count, place, articles, shopper, persist, lasts }) {
    for (let round = 0; round < 5; round++) {
      const buyer = await shopper();
      const submit = { idempotencyKey: randomUUID() };
      const answers = await inject(`${atOnce} requests with one key`, () =>
        Promise.allSettled(Array.from({ length: atOnce }, () => place(buyer, articles, submit))),
      );
      const told = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value["order"]?.number] : []));
      fired(atOnce - 1, `${atOnce} requests with the key, ${atOnce - told.length} told to ask again`);

      // A good client asks again, and then hears of the same order as all others.
      const { order } = await persist(() => place(buyer, articles, submit));
      expect(
        "every answer is the same order",
        told.every((number) => number === order.number),
        told,
      );
      const orders = await count("SELECT count(*) FROM orders.orders WHERE placed_by = $1", [buyer.id]);
      expect("one order", orders === 1, orders);
      await lasts(1);
    }
    await heal("no more of it");
  },
});
