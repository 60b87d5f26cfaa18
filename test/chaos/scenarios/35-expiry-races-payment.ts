import { scenario } from "../scenario.ts";

const point = "provider-api.before-execute" as const;
const deadlineSeconds = 7;
/** The answers of the provider come from 2.5 to 6.5 s after they are asked for: some before the deadline, some after it. */
const slowness = [..."0123456789abcdef"].map((digit, index) => ({
  point,
  action: "delay",
  match: `${digit}:AUTHORIZE:`,
  delayMs: 2_500 + index * 270,
}));

/** Of the orders $1, those whose money was held, by who came first, and whose two ends were this near to each other. */
const held = `WITH held AS (
  SELECT o.id, a.captured_minor, a.voided_minor, a.amount_minor,
    EXISTS (SELECT FROM orders.timeline t WHERE t.order_id = o.id AND t.what = 'CONFIRMED') AS paid,
    EXISTS (SELECT FROM orders.timeline t WHERE t.order_id = o.id AND t.what = 'CANCELLED' AND t.detail = 'DEADLINE') AS expired,
    abs(extract(epoch FROM p.settled_at - o.placed_at) - ${deadlineSeconds}) < 0.5 AS met
  FROM orders.orders o JOIN provider.authorizations a ON a.reference = o.id::text AND a.held
  JOIN provider.operations p ON p.authorization_id = a.id AND p.kind = 'AUTHORIZE'
  WHERE o.id = ANY($1::uuid[]))
  SELECT count(*) FROM held WHERE`;

export default scenario({
  number: 35,
  name: "expiry-races-payment",
  fault: "expiry racing payment",
  hypothesis:
    "Where the deadline and the money come together one of them wins, and money that came too late goes back.",
  expectation: "one wins; the loser's money is voided",
  env: {
    orders: { PAYMENT_DEADLINE_SECONDS: String(deadlineSeconds), EXPIRY_INTERVAL_MS: "50" },
    payments: { PROVIDER_TIMEOUT_MS: "8000", PROVIDER_CONCURRENCY: "100" },
  },
  async run({ points, inject, heal, fired, load, count, until, lasts }) {
    await inject("the provider takes about as long as orders wait", () => points.set("provider", slowness));
    await lasts(30);
    const ofLoad = (condition: string) => count(`${held} ${condition}`, [load.acknowledged.map(({ id }) => id)]);
    const races = () => Promise.all([ofLoad("met AND paid"), ofLoad("met AND expired")]);
    const wonByBoth = ([paid, expired]: number[]) => paid! > 2 && expired! > 2;
    await until("races that either has won", async () => wonByBoth(await races()), 60);
    const [paid, expired] = await races();
    fired(
      paid! + expired!,
      `less than 0.5 s between the deadline and the provider's book: ${paid} paid, ${expired} not`,
    );
    await heal("the provider is quick", () => points.set("provider", []));
  },
  async afterQuiet({ expect, count, load }) {
    const ofLoad = (condition: string) => count(`${held} ${condition}`, [load.acknowledged.map(({ id }) => id)]);
    expect("none has won and lost", (await ofLoad("paid AND expired")) === 0);
    const [late, kept] = [await ofLoad("expired"), await ofLoad("expired AND voided_minor < amount_minor")];
    expect("the money of those who lost is given up", late > 0 && kept === 0, `${kept} of ${late} kept`);
    const charged = await ofLoad("expired AND captured_minor > 0");
    expect("none of it was charged", charged === 0, charged);
  },
});
