import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

/** Minutes by which the clocks of processes are wrong. */
const skews: Record<string, number> = { users: 5, gateway: 5, orders: 5, inventory: 5, payments: -5, fulfillment: -5 };
const deadlineSeconds = 20;
const minuteMs = 60_000;
const skewedClock = new URL("../skewed-clock.ts", import.meta.url).href;

export default scenario({
  number: 30,
  name: "clock-skew",
  fault: "clock skew ±5 min",
  hypothesis: "Machines whose clocks are wrong by five minutes sell, and what expires does so when it should.",
  expectation: "the database's clock decides expiry",
  async run({
    shop,
    processes,
    points,
    inject,
    heal,
    fired,
    expect,
    until,
    count,
    request,
    tell,
    place,
    persist,
    load,
    articles,
    lasts,
  }) {
    const skewed = (name: string, minutes: number) => {
      const planned = shop.planned.find((plan) => plan.name === name)!.env["NODE_OPTIONS"]!;
      return {
        NODE_OPTIONS: `${planned} --import ${skewedClock}`,
        CLOCK_SKEW_MS: String(minutes * minuteMs),
        ...(name === "orders" ? { PAYMENT_DEADLINE_SECONDS: String(deadlineSeconds) } : {}),
      };
    };
    await inject("six processes are five minutes ahead or behind", () =>
      Promise.all(Object.entries(skews).map(([name, minutes]) => processes.restart(name, skewed(name, minutes)))),
    );
    // What a process writes into its log has its own time: here that of another minute.
    for (const [name, minutes] of Object.entries(skews)) {
      const at = (backMinutes: number) =>
        `"time":"${new Date(Date.now() + (minutes - backMinutes) * minuteMs).toISOString().slice(0, 16)}`;
      fired(points.logged(name, at(0)) + points.logged(name, at(1)), `${name} logs with a clock ${minutes} min off`);
    }

    // A token of a clock that is ahead, for services whose clocks are behind.
    const account = { email: `${randomUUID()}@example.com`, password: randomUUID() };
    const signedUp = await persist(() => tell("signUp", "", account, "... on SignedIn { accessToken user { id } }"));
    const { accessToken, user } = signedUp as unknown as { accessToken: string; user: { id: string } };
    const buyer = { id: user.id, token: accessToken, email: account.email };
    const declined = { idempotencyKey: randomUUID(), paymentMethod: { token: "tok_declined" } };
    const placed = await persist(() => place(buyer, articles, declined));
    expect("whoever signs up now orders", placed.__typename === "OrderPlaced", placed.__typename);
    const number = placed["order"].number as string;
    const look = `query Look($number: String!) { order(number: $number) { status payments { status } } }`;
    const seen = await until("the payment of that order", async () => {
      const { data, errors } = await request(look, { number }, buyer.token);
      return errors ?? (data.order.payments as { status: string }[] | null);
    });
    expect("and sees its payment, which comes from a service of the other clock", "status" in seen[0]!, seen);

    const before = load.acknowledged.length;
    await lasts(30);
    expect("purchases go on", load.acknowledged.length > before + 20, load.acknowledged.length - before);
    const age = "SELECT extract(epoch FROM clock_timestamp() - placed_at) FROM orders.orders WHERE number = $1";
    const ended = `${age} AND status = 'CANCELLED'`;
    const endedSeconds = await until(
      "the end of the order that nobody pays",
      () => count(ended, [number]),
      deadlineSeconds + 20,
    );
    expect(
      `it ends ${deadlineSeconds} s after it was placed, by the database's clock`,
      endedSeconds >= deadlineSeconds - 0.5 && endedSeconds < deadlineSeconds + 15,
      `${endedSeconds.toFixed(1)} s`,
    );
    const leave = `mutation { signOut { __typename ... on SignedOut { sessions } } }`;
    const { data: left } = await request(leave, {}, buyer.token);
    expect("the session ends when its owner wants", left?.signOut?.sessions === 1, left);
    await until("the denial of its token", async () => {
      const { errors } = await request(look, { number }, buyer.token);
      return errors?.[0]?.extensions?.code === "UNAUTHENTICATED";
    });
    await heal("all clocks are right", () => Promise.all(Object.keys(skews).map((name) => processes.restart(name))));
  },
});
