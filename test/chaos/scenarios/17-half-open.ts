import { scenario } from "../scenario.ts";

const noticedWithinSeconds = 30;
/** For the purchase itself, behind all that waited meanwhile. */
const purchaseSeconds = 15;

export default scenario({
  number: 17,
  name: "half-open",
  fault: "half-open TCP to broker or database",
  hypothesis:
    "A connection on which nothing comes any more is given up for a new one, in 8 s with Kafka and 20 s with Postgres.",
  expectation: "noticed within 30 s; reconnects",
  needs: "kafka",
  async run({ link, inject, heal, fired, expect, count, until, place, persist, shopper, articles }) {
    for (const lines of [
      [link("shop", "broker")],
      ["orders", "inventory", "payments"].map((name) => link(name, "postgres")),
    ]) {
      const buyer = await shopper();
      const counts = () => Promise.all(lines.map((line) => line.counts()));
      const before = await counts();
      const beganMs = performance.now();
      await inject(`what is open on ${lines.map(({ name }) => name).join(", ")} is half-open`, () =>
        Promise.all(lines.map((line) => line.set({ strand: true }))),
      );
      // The recovery is that of a purchase begun now: nobody heals what is half-open but those who notice.
      await heal("new connections are let through");
      const { order } = await persist(() => place(buyer, articles));
      const confirmed = `SELECT count(*) FROM orders.timeline WHERE order_id = $1 AND what = 'CONFIRMED'`;
      await until("a purchase", async () => (await count(confirmed, [order.id])) === 1, 90);
      const seconds = Math.round((performance.now() - beganMs) / 100) / 10;
      expect(
        `all have noticed within ${noticedWithinSeconds} s`,
        seconds <= noticedWithinSeconds + purchaseSeconds,
        `a purchase after ${seconds} s`,
      );
      const after = await counts();
      for (const [index, { name }] of lines.entries()) {
        fired(after[index]!.heldBack - before[index]!.heldBack, `portions that ${name} swallowed`);
        const opened = after[index]!.opened - before[index]!.opened;
        expect(`new connections on ${name}`, opened > 0, opened);
      }
      await Promise.all(lines.map((line) => line.set({})));
    }
  },
});
