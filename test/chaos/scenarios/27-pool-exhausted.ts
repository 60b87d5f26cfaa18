import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { GraphFailure } from "@crowdcrunch/shopper/client";
import { services } from "@crowdcrunch/tools/processes";
import { scenario } from "../scenario.ts";

const point = "transaction.before-commit";
/** How long a request of orders waits for a connection, in ms. */
const queueMs = 400;
/** Half of the refusals come sooner than this, the gateway's and a busy machine's share included. */
const fastMs = queueMs + 1_000;
/** All do: long before the request's time is over, which is 10 s. */
const slowestMs = 5_000;
const crowdSize = 6;

export default scenario({
  number: 27,
  name: "pool-exhausted",
  fault: "pool exhausted",
  hypothesis: "A service without a free connection says so soon, and is neither restarted nor buried by its queue.",
  expectation: "fast 503; liveness stays up",
  env: { orders: { DATABASE_CONNECTIONS: "2", DATABASE_QUEUE_MS: String(queueMs) } },
  perSecond: 6,
  async run({
    shop,
    points,
    processes,
    inject,
    heal,
    fired,
    expect,
    lasts,
    place,
    articles,
    shopper,
    persist,
    request,
  }) {
    const health = `${shop.metricsUrl(services.find(({ name }) => name === "orders")!)}/livez`;
    const pid = processes.pidOf("orders");
    const crowd = await Promise.all(Array.from({ length: crowdSize }, () => shopper()));
    const keys = crowd.map(() => randomUUID());
    const ask = (index: number) => place(crowd[index]!, articles, { idempotencyKey: keys[index]! });

    await inject("transactions of orders keep their connections for 5 s", () =>
      points.set("orders", [{ point, action: "delay", delayMs: 5_000, match: "orders.order-placed.v1" }]),
    );
    const codes: Record<string, number> = {};
    const refusedMs: number[] = [];
    let [alive, dead, without] = [0, 0, 0];
    let over = false;
    const probing = Promise.all(
      crowd.map(async (_, index) => {
        while (!over) {
          const beganMs = performance.now();
          const error = await ask(index).then(
            () => undefined,
            (failure: unknown) => failure,
          );
          if (error instanceof GraphFailure) {
            const { code = "", retryAfterMs } = error.errors[0]?.extensions ?? {};
            codes[code] = (codes[code] ?? 0) + 1;
            if (code === "UNAVAILABLE") refusedMs.push(performance.now() - beganMs);
            if (code === "UNAVAILABLE" && retryAfterMs === undefined) without += 1;
          }
          const live = await fetch(health, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
          if (live?.status === 200) alive += 1;
          else dead += 1;
          await sleep(200);
        }
      }),
    );
    await lasts(30);
    const { data } = await request("{ categories { id } }");
    over = true;
    await probing;
    await heal("transactions end in time", () => points.set("orders", []));
    fired(refusedMs.length, "requests to orders were refused: no connection became free");
    fired(points.logged("orders", "timeout exceeded when trying to connect"), "orders says so");
    refusedMs.sort((one, other) => one - other);
    const [half, slowest] = [refusedMs[refusedMs.length >> 1]!, refusedMs.at(-1)!].map(Math.round);
    expect("refused soon", half! < fastMs && slowest! < slowestMs, `half within ${half} ms, all within ${slowest} ms`);
    expect("each was told when to come again", refusedMs.length > 0 && without === 0, codes);
    expect("orders is alive all the time", alive > 0 && dead === 0, `${alive} of ${alive + dead}`);
    expect("orders is the same process", processes.pidOf("orders") === pid);
    expect("other services answer", Array.isArray(data?.categories));
    const told = await Promise.all(crowd.map((_, index) => persist(() => ask(index))));
    expect(
      "all have their order in the end",
      told.every(({ __typename }) => __typename === "OrderPlaced"),
    );
  },
});
