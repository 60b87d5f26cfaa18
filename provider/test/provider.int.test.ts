import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { until } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startProvider } from "../src/provider.ts";
import type { RunningProvider } from "../src/provider.ts";

const apiKey = "provider-test-key";
const secret = "provider-test-secret";
let database: TestDatabase;
let provider: RunningProvider;
/** What the shop was called with; it refuses each callback the first time. */
const callbacks: {
  id: string;
  type: string;
  taken: boolean;
  signed: boolean;
  operation: { status: string; idempotencyKey: string };
}[] = [];
const shop = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => void (body += chunk.toString()));
  request.on("end", () => {
    const [, time, signature] = /^t=(\d+),v1=(\w+)$/.exec(String(request.headers["provider-signature"])) ?? [];
    const content = JSON.parse(body) as (typeof callbacks)[number];
    const taken = callbacks.some(({ id }) => id === content.id);
    callbacks.push({
      ...content,
      taken,
      signed: createHmac("sha256", secret).update(`${time}.${body}`).digest("hex") === signature,
    });
    response.writeHead(taken ? 204 : 503).end();
  });
});

beforeAll(async () => {
  await new Promise<void>((resolve) => shop.listen(0, "127.0.0.1", resolve));
  database = await createDatabase();
  provider = await startProvider({
    env: {
      ...{
        PORT: "0",
        METRICS_PORT: "0",
        PROVIDER_API_KEY: apiKey,
        PROVIDER_WEBHOOK_SECRET: secret,
        PROVIDER_LATENCY_MS: "0",
      },
      DATABASE_URL: database.url("provider"),
      OWNER_DATABASE_URL: database.url("provider_owner"),
      PROVIDER_WEBHOOK_URL: `http://127.0.0.1:${(shop.address() as AddressInfo).port}/`,
    },
    log: createLogger({ service: "provider", level: "silent" }),
    processMetrics: false,
  });
});
afterAll(async () => {
  await provider?.stop();
  await database?.drop();
  shop.close();
});

async function call(method: "GET" | "POST", path: string, body?: object, key = apiKey) {
  const response = await fetch(`${provider.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { "content-type": "application/json" } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

let keys = 0;
const request = (changes: object = {}) => ({
  idempotencyKey: `key-${++keys}`,
  reference: "order 1",
  amountMinor: 1_000,
  currency: "GBP",
  source: "tok_ok",
  ...changes,
});

async function authorized(): Promise<string> {
  const { body } = await call("POST", "/v1/authorizations", request());
  return `/v1/authorizations/${String(body["authorizationId"])}`;
}

describe("a key", () => {
  test("is executed once, however often and however many at once it comes, and can be looked up", async () => {
    const body = request();
    const answers = await Promise.all(Array.from({ length: 10 }, () => call("POST", "/v1/authorizations", body)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await call("GET", `/v1/operations/${body.idempotencyKey}`)).toEqual({ status: 200, body: answers[0]?.body });
    expect((await call("GET", "/v1/operations/unheard-of")).status).toBe(404);
  });

  test("with another request is refused", async () => {
    const body = request();
    await call("POST", "/v1/authorizations", body);
    expect((await call("POST", "/v1/authorizations", { ...body, amountMinor: 999 })).status).toBe(409);
    const path = await authorized();
    const capture = { idempotencyKey: `key-${++keys}`, amountMinor: 400 };
    const answers = await Promise.all(Array.from({ length: 5 }, () => call("POST", `${path}/captures`, capture)));
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { amountMinor: 400 } });
    expect((await call("POST", `${path}/captures`, { ...capture, amountMinor: 1 })).status).toBe(409);
    expect(
      (await call("POST", `${path}/captures`, { ...capture, idempotencyKey: `key-${++keys}`, amountMinor: 601 }))
        .status,
    ).toBe(402);
    expect((await call("POST", `${path}/voids`, { idempotencyKey: `key-${++keys}` })).body).toMatchObject({
      amountMinor: 600,
    });
    expect((await call("POST", `${path}/refunds`, { idempotencyKey: `key-${++keys}`, amountMinor: 401 })).status).toBe(
      402,
    );
  });
});

test.each([
  [{ amountMinor: 0 }, 400],
  [{ amountMinor: 1.5 }, 400],
  [{ amountMinor: -1 }, 400],
  [{ currency: "gbp" }, 400],
  [{ returnUrl: "javascript:alert(1)" }, 400],
  [{ source: "tok_nobody" }, 422],
])("%j is refused", async (changes, status) => {
  expect((await call("POST", "/v1/authorizations", request(changes))).status).toBe(status);
});

test("nothing is answered without the key", async () => {
  expect((await call("POST", "/v1/authorizations", request(), "wrong")).status).toBe(401);
  expect((await call("GET", "/v1/operations/key-1", undefined, "")).status).toBe(401);
});

test("an action is called back, signed, until the shop has taken it", async () => {
  const body = request({ source: "tok_action_required" });
  const { body: operation } = await call("POST", "/v1/authorizations", body);
  const url = String(operation["actionUrl"]);
  expect((await fetch(url, { method: "POST", body: new URLSearchParams({ decision: "perhaps" }) })).status).toBe(400);
  await fetch(url, { method: "POST", body: new URLSearchParams({ decision: "authorise" }) });
  await fetch(url, { method: "POST", body: new URLSearchParams({ decision: "refuse" }) });
  const ours = () => callbacks.filter((callback) => callback.operation.idempotencyKey === body.idempotencyKey);
  await until(() => ours().some(({ taken }) => taken), "a callback that was taken");
  expect(ours().map(({ taken, signed, operation: { status } }) => ({ taken, signed, status }))).toEqual([
    { taken: false, signed: true, status: "SUCCEEDED" },
    { taken: true, signed: true, status: "SUCCEEDED" },
  ]);
});
