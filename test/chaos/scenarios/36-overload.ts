import { setTimeout as sleep } from "node:timers/promises";
import { gateway } from "@crowdcrunch/tools/processes";
import { scenario } from "../scenario.ts";
import type { World } from "../world.ts";

const atOnce = 12;
/** The service behind what the crowd asks for is slow, so that little is much for this gateway. */
const slow = { point: "gateway.fetch", action: "delay", match: "inventory", delayMs: 120 } as const;
const mostPerSecond = 1_000;
const tickMs = 20;
const query = "query Crowd($id: ID!) { product(id: $id) { name } }";

/** How many requests the gateway has refused for want of room, by its own count. */
async function shedBy({ shop }: World): Promise<number> {
  const text = await (await fetch(`${shop.metricsUrl(gateway)}/metrics`)).text();
  const lines = text
    .split("\n")
    .filter((line) => /^crowdcrunch_gateway_requests_total\{.*code="OVERLOADED"/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

export default scenario({
  number: 36,
  name: "overload",
  fault: "gateway at 5× load",
  hypothesis: "Asked for more than it can do, the gateway says so at once and does what it has let in.",
  expectation: "sheds early; accepted work completes",
  env: { gateway: { CONCURRENT_REQUESTS: String(atOnce) } },
  perSecond: 6,
  async run(world) {
    const { points, processes, request, inject, heal, fired, expect, until, lasts, load, articles } = world;
    const pid = processes.pidOf("gateway");
    const answers: { status: number; complete: boolean; ms: number }[] = [];
    async function ask(): Promise<void> {
      const beganMs = performance.now();
      const { status, data, errors } = await request(query, { id: articles[0]!.productId });
      const complete = Boolean(data?.product?.name) && !errors;
      answers.push({ status, complete, ms: performance.now() - beganMs });
    }
    // What it can do: as many at a time as it works on, each asking again as soon as it is answered.
    await points.set("gateway", [slow]);
    const measured = lasts(2);
    let over = false;
    const measuring = Array.from({ length: atOnce }, async () => {
      while (!over) await ask();
    });
    const seconds = await measured;
    over = true;
    await Promise.all(measuring);
    const perSecond = Math.min(mostPerSecond, 5 * (answers.filter(({ complete }) => complete).length / seconds));
    answers.length = 0;

    const before = { shed: await shedBy(world), acknowledged: load.acknowledged.length };
    const crowd: Promise<void>[] = [];
    await inject(`${Math.round(perSecond)} requests a second, five times what it can do`, async () => {
      over = false;
      const storm = (async () => {
        const beganMs = performance.now();
        for (; !over; await sleep(tickMs)) {
          const due = ((performance.now() - beganMs) / 1_000) * perSecond;
          while (crowd.length < due) crowd.push(ask());
        }
      })();
      await lasts(30);
      over = true;
      await storm;
    });
    await Promise.all(crowd);
    const shed = answers.filter(({ status }) => status === 503);
    const accepted = answers.filter(({ status }) => status !== 503);
    const slowestMs = Math.round(shed.map(({ ms }) => ms).sort((a, b) => a - b)[Math.floor(shed.length / 2)] ?? 0);
    fired((await shedBy(world)) - before.shed, "OVERLOADED in the gateway's own count");
    expect("most are refused", shed.length > answers.length / 2, `${shed.length} of ${answers.length}`);
    expect("half of them hear it at once, and not when their time is over", slowestMs < 1_000, `${slowestMs} ms`);
    const failed = accepted.filter(({ complete }) => !complete);
    expect("what is let in is answered in full", accepted.length > 0 && failed.length === 0, accepted.length);
    const bought = load.acknowledged.length - before.acknowledged;
    expect("orders are accepted meanwhile", bought > 0, bought);
    expect("the gateway is the same process", processes.pidOf("gateway") === pid);
    await heal("the crowd has gone", () => points.set("gateway", []));
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
