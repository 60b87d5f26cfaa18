import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";
import type { GraphAnswer } from "./world.ts";

let shop: SmallShop;
let database: TestDatabase;

beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
});
afterAll(async () => {
  await shop?.stop();
  await database?.drop();
});

const at = async <T>(count: number, work: () => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, work));
const place = "mutation { placeOrder(input: { quantity: 1 }) { ... on Order { number } } }";

function expectRefused(answer: GraphAnswer): void {
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(answer.errors).toEqual([
    {
      message: "Too many want something at once; try again.",
      extensions: { code: "OVERLOADED", retryAfterMs: 1_000 },
    },
  ]);
}

test("at five times what fits it refuses early, and does all that it lets in", async () => {
  const gateway = await gatewayOf(shop, database, { CONCURRENT_REQUESTS: "4", QUEUE_MS: "150" });
  try {
    const startedMs = performance.now();
    const timed = async (): Promise<{ answer: GraphAnswer; tookMs: number }> => {
      const answer = await ask(gateway, "{ slow(ms: 1000) }");
      return { answer, tookMs: performance.now() - startedMs };
    };
    const answers = await at(20, timed);
    const refused = answers.filter(({ answer }) => answer.status !== 200);
    expect(refused).toHaveLength(16);
    for (const { answer } of refused) expectRefused(answer);
    // Refused while those that were let in still run.
    const firstDoneMs = Math.min(...answers.filter((one) => !refused.includes(one)).map(({ tookMs }) => tookMs));
    expect(Math.max(...refused.map(({ tookMs }) => tookMs))).toBeLessThan(firstDoneMs);
    for (const one of answers) if (!refused.includes(one)) expect(one.answer.data).toEqual({ slow: "at last" });
    expect((await ask(gateway, "{ me { id } }")).data).toEqual({ me: { id: "u1" } });
    const metrics = await (await fetch(`${gateway.healthUrl}/metrics`)).text();
    expect(metrics).toMatch(/requests_total\{operation="none",code="OVERLOADED",service="gateway"\} 16/);
    expect(metrics).toMatch(/crowdcrunch_gateway_requests_running\{service="gateway"\} 0/);
  } finally {
    await gateway.stop();
  }
});

test("a mutation has its turn before queries that came earlier", async () => {
  const gateway = await gatewayOf(shop, database, { CONCURRENT_REQUESTS: "1", QUEUE_MS: "20000" });
  try {
    const order: string[] = [];
    const noting = async (name: string, query: string): Promise<void> => {
      expect((await ask(gateway, query)).errors).toBeUndefined();
      order.push(name);
    };
    const running = noting("running", "{ slow(ms: 400) }");
    const waitingCount = async (count: number): Promise<void> => {
      const pattern = new RegExp(`requests_waiting\\{service="gateway"\\} ${count}\\n`);
      await expect
        .poll(async () => (await fetch(`${gateway.healthUrl}/metrics`)).text(), { timeout: 10_000 })
        .toMatch(pattern);
    };
    await expect
      .poll(async () => (await fetch(`${gateway.healthUrl}/metrics`)).text())
      .toMatch(/requests_running\{service="gateway"\} 1\n/);
    const queries = [noting("query", "{ slow(ms: 100) }"), noting("query", "{ slow(ms: 100) }")];
    await waitingCount(2);
    const mutation = noting("mutation", place);
    await Promise.all([running, mutation, ...queries]);
    expect(order).toEqual(["running", "mutation", "query", "query"]);
  } finally {
    await gateway.stop();
  }
});

test("with 32 shoppers at once nobody is refused", async () => {
  const gateway = await gatewayOf(shop, database);
  try {
    const codes = new Set<unknown>();
    await at(32, async () => {
      for (let round = 0; round < 3; round++) {
        codes.add(codeOf(await ask(gateway, "{ orders(first: 2) { nodes { number lines { sku { code } } } } }")));
        codes.add(codeOf(await ask(gateway, place)));
      }
    });
    expect([...codes]).toEqual([undefined]);
  } finally {
    await gateway.stop();
  }
});

test("while the event loop is behind, requests are refused before they are read; liveness and callbacks are not", async () => {
  const gateway = await gatewayOf(shop, database, { EVENT_LOOP_DELAY_MS: "40" });
  let busy = true;
  const work = (): void => {
    const untilMs = performance.now() + 150;
    while (performance.now() < untilMs);
    if (busy) setTimeout(work, 1);
  };
  work();
  try {
    await expect
      .poll(async () => (await ask(gateway, "{ me { id } }")).status, { timeout: 15_000, interval: 100 })
      .toBe(503);
    expectRefused(await ask(gateway, "{ me { id } }"));
    expect((await fetch(`${gateway.healthUrl}/livez`)).status).toBe(200);
    const hook = await call(gateway, "/hooks/payments", { method: "POST", body: "{}" });
    expect(hook.status).toBe(200);
    busy = false;
    await expect
      .poll(async () => (await ask(gateway, "{ me { id } }")).status, { timeout: 15_000, interval: 100 })
      .toBe(200);
  } finally {
    busy = false;
    await gateway.stop();
  }
});
