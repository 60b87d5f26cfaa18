import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { until } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startProvider } from "../src/provider.ts";
import type { RunningProvider } from "../src/provider.ts";

const apiKey = "provider-test-key";
const secret = "provider-test-secret";
let database: TestDatabase;
let provider: RunningProvider;

interface Received {
  signed: boolean;
  key: string;
  amountMinor: number;
  atMs: number;
}
/** The callbacks that the shop got; it takes each. */
let received: Received[] = [];
const shop = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => void (body += chunk.toString()));
  request.on("end", () => {
    const [, time, signature] = /^t=(\d+),v1=(\w+)$/.exec(String(request.headers["provider-signature"])) ?? [];
    const { operation } = JSON.parse(body) as { operation: { idempotencyKey: string; amountMinor: number } };
    received.push({
      signed: createHmac("sha256", secret).update(`${time}.${body}`).digest("hex") === signature,
      key: operation.idempotencyKey,
      amountMinor: operation.amountMinor,
      atMs: performance.now(),
    });
    response.writeHead(204).end();
  });
});

function start(env: Record<string, string>): Promise<RunningProvider> {
  return startProvider({
    env: {
      ...{ PORT: "0", METRICS_PORT: "0", PROVIDER_LATENCY_MS: "0", SHUTDOWN_GRACE_MS: "1000" },
      ...{ PROVIDER_API_KEY: apiKey, PROVIDER_WEBHOOK_SECRET: secret },
      DATABASE_URL: database.url("provider"),
      OWNER_DATABASE_URL: database.url("provider_owner"),
      PROVIDER_WEBHOOK_URL: `http://127.0.0.1:${(shop.address() as AddressInfo).port}/`,
      ...env,
    },
    log: createLogger({ service: "provider", level: "silent" }),
    processMetrics: false,
  });
}

beforeAll(async () => {
  await new Promise<void>((resolve) => shop.listen(0, "127.0.0.1", resolve));
  database = await createDatabase();
  provider = await start({ FAULT_INJECTION: "true" });
});
beforeEach(() => {
  received = [];
});
afterAll(async () => {
  await provider?.stop();
  await database?.drop();
  shop.close();
});

async function call(method: "GET" | "POST" | "PUT", path: string, body?: object, options: RequestInit = {}) {
  const response = await fetch(`${provider.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, ...(body ? { "content-type": "application/json" } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...options,
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function set(fault: object): Promise<void> {
  expect(await call("PUT", "/faults", { faults: [{ times: 1, ...fault }] })).toMatchObject({ status: 200 });
}

/** Asks for an authorization; resolves to the answer and when it came. */
async function authorise(idempotencyKey: string, options: RequestInit = {}) {
  const request = { idempotencyKey, reference: "order 1", amountMinor: 100, currency: "GBP", source: "tok_ok" };
  const { status } = await call("POST", "/v1/authorizations", request, options);
  return { status, answeredMs: performance.now() };
}
const isKnown = async (key: string) => (await call("GET", `/v1/operations/${key}`)).status === 200;

describe("a request", () => {
  test("that fails before it is executed has done nothing", async () => {
    await set({ point: "provider-api.before-execute", action: "error", match: "POST /v1/authorizations before" });
    expect(await authorise("before")).toMatchObject({ status: 500 });
    expect(await isKnown("before")).toBe(false);
    expect(await authorise("before")).toMatchObject({ status: 200 });
  });

  test("that fails after it was executed is in the book", async () => {
    await set({ point: "provider-api.after-execute", action: "error", match: "POST /v1/authorizations after" });
    expect(await authorise("after")).toMatchObject({ status: 500 });
    expect(await isKnown("after")).toBe(true);
    expect(await authorise("after")).toMatchObject({ status: 200 });
  });

  test("whose answer is withheld is in the book", async () => {
    await set({ point: "provider-api.after-execute", action: "withhold" });
    await expect(authorise("withheld", { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/);
    expect(await isKnown("withheld")).toBe(true);
  });
});

describe("a further callback", () => {
  const callback = (action: string, more: object = {}) => set({ point: "provider-api.callback", action, ...more });
  const came = (count: number) => until(() => received.length === count, `${count} callbacks`);

  test("comes before the answer", async () => {
    await callback("before");
    const { status, answeredMs } = await authorise("callback before");
    expect(status).toBe(200);
    expect(received).toMatchObject([{ key: "callback before", signed: true, amountMinor: 100 }]);
    expect(received[0]!.atMs).toBeLessThan(answeredMs);
  });

  test("comes twice", async () => {
    await callback("twice");
    await authorise("callback twice");
    await came(2);
    expect(received).toMatchObject([{ key: "callback twice" }, { key: "callback twice" }]);
  });

  test("comes late", async () => {
    await callback("late", { delayMs: 200 });
    const { answeredMs } = await authorise("callback late");
    expect(received).toEqual([]);
    await came(1);
    expect(received[0]!.atMs - answeredMs).toBeGreaterThan(150);
    expect(received).toMatchObject([{ key: "callback late", signed: true }]);
  });

  test("comes forged, or with another amount", async () => {
    await callback("forged");
    await authorise("callback forged");
    await callback("other-amount");
    await authorise("callback other");
    expect(received).toMatchObject([
      { key: "callback forged", signed: false, amountMinor: 100 },
      { key: "callback other", signed: true, amountMinor: 101 },
    ]);
  });

  test("does not come where nothing says so", async () => {
    await callback("before", { match: "somebody else" });
    await authorise("callback none");
    expect(received).toEqual([]);
  });
});

describe("/faults", () => {
  test("wants the API key, lists what is set, and says what is wrong", async () => {
    const anonymous = await fetch(`${provider.url}/faults`);
    expect([anonymous.status, await anonymous.json()]).toMatchObject([401, { error: { code: "UNAUTHENTICATED" } }]);
    await set({ point: "provider-api.after-execute", action: "delay", delayMs: 5 });
    expect((await call("GET", "/faults")).body).toEqual({
      faults: [
        {
          ...{ point: "provider-api.after-execute", action: "delay", delayMs: 5 },
          ...{ times: 1, rate: 1, seed: 1, passes: 0, fired: 0 },
        },
      ],
    });
    expect(
      await call("PUT", "/faults", { faults: [{ point: "provider-api.callback", action: "kill" }] }),
    ).toMatchObject({
      status: 400,
      body: { error: { code: "BAD_USER_INPUT", message: expect.stringContaining("no such action at this point") } },
    });
    expect(await call("PUT", "/faults", { faults: "kill" })).toMatchObject({ status: 400 });
  });

  test("is not there where faults are off", async () => {
    await provider.stop();
    provider = await start({});
    expect((await call("GET", "/faults")).status).toBe(404);
    expect((await call("PUT", "/faults", { faults: [] })).status).toBe(404);
    expect(await authorise("sober")).toMatchObject({ status: 200 });
  });
});
