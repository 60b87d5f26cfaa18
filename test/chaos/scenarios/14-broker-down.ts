import { scenario } from "../scenario.ts";

export default scenario({
  number: 14,
  name: "broker-down",
  fault: "broker down 2 min",
  hypothesis: "Without a broker the shop goes on taking orders, keeps their events, and hands them on in order later.",
  expectation: "orders accepted; outbox grows; drains in order",
  needs: "kafka",
  async run({ broker, points, inject, heal, fired, expect, count, lasts, load, until }) {
    await inject("the broker is killed", () => broker.kill());
    const [acknowledged, waiting] = [load.acknowledged.length, await count("SELECT count(*) FROM orders.outbox")];
    const seconds = await lasts(120);
    const accepted = load.acknowledged.length - acknowledged;
    expect("orders are accepted", accepted > 5 * seconds, `${accepted} in ${seconds} s`);
    const outbox = await count("SELECT count(*) FROM orders.outbox");
    expect("the outbox grows", outbox >= waiting + accepted, outbox);
    fired(points.logged("orders", "events wait in the outbox"), "the relay of orders says that the log is away");
    await heal("the broker is back", () => broker.start());
    // In which order they come out is invariant 17.
    await until("an empty outbox", async () => (await count("SELECT count(*) FROM orders.outbox")) < 50, 60);
  },
});
