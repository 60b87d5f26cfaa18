import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";

let shop: SmallShop;
let database: TestDatabase;
let gateway: RunningGateway;

beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
  gateway = await gatewayOf(shop, database, { CORS_ORIGINS: "https://shop.example, https://admin.shop.example" });
});

afterAll(async () => {
  await gateway?.stop();
  await shop?.stop();
  await database?.drop();
});

test("one query is answered by three services", async () => {
  const { status, data, errors } = await ask(
    gateway,
    `{ me { email orders(first: 1) { nodes { number lines { name sku { code price { amountMinor } } } } } } }`,
  );
  expect(errors).toBeUndefined();
  expect(status).toBe(200);
  expect(data.me.email).toBe("ada@example.org");
  expect(data.me.orders.nodes[0].lines[1]).toEqual({
    name: "Line 2",
    sku: { code: "SKU-2", price: { amountMinor: 250 } },
  });
});

describe("headers", () => {
  const got = (service: "Users" | "Orders", header: string) => `{ got: what${service}Got(header: "${header}") }`;

  test("services get the token, the request's id, the trace and the caller's address, and only users the cookies", async () => {
    const token = await shop.token();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const headers = {
      "x-request-id": "order-page.42",
      traceparent,
      cookie: "refresh=abc",
      "x-client-address": "6.6.6.6",
      "x-forwarded-for": "6.6.6.6",
      "x-budget-ms": "1",
      "x-secret": "1",
    };
    const seen = async (service: "Users" | "Orders", header: string): Promise<unknown> =>
      (await ask(gateway, got(service, header), { token, headers })).data.got;
    expect(await seen("Orders", "authorization")).toBe(`Bearer ${token}`);
    expect(await seen("Orders", "x-request-id")).toBe("order-page.42");
    expect(await seen("Orders", "traceparent")).toBe(traceparent);
    expect(await seen("Orders", "x-client-address")).toBe("127.0.0.1");
    const budgetMs = Number(await seen("Orders", "x-budget-ms"));
    expect(budgetMs).toBeGreaterThan(9_000);
    expect(budgetMs).toBeLessThanOrEqual(10_000);
    expect(await seen("Orders", "cookie")).toBeNull();
    expect(await seen("Orders", "x-secret")).toBeNull();
    expect(await seen("Users", "cookie")).toBe("refresh=abc");
  });

  test("the request's id comes back, and one is made where it is missing or could not stand in a log", async () => {
    const given = await ask(gateway, "{ me { id } }", { headers: { "x-request-id": "abc-1" } });
    expect(given.headers.get("x-request-id")).toBe("abc-1");
    const made = await ask(gateway, "{ me { id } }");
    expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    const odd = await ask(gateway, "{ me { id } }", { headers: { "x-request-id": `"}{` } });
    expect(odd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("behind one proxy the address is the one that this proxy saw", async () => {
    const behind = await gatewayOf(shop, database, { TRUSTED_PROXIES: "1" });
    try {
      const headers = { "x-forwarded-for": "6.6.6.6, 203.0.113.7" };
      expect((await ask(behind, got("Orders", "x-client-address"), { headers })).data.got).toBe("203.0.113.7");
    } finally {
      await behind.stop();
    }
  });

  test("cookies are set by users and by nobody else", async () => {
    const users = await ask(gateway, "mutation { signIn }");
    expect(users.headers.getSetCookie()).toEqual(["refresh=abc; HttpOnly; Path=/", "second=1"]);
    const orders = await ask(gateway, got("Orders", "accept"));
    expect(orders.data).toBeDefined();
    expect(orders.headers.getSetCookie()).toEqual([]);
  });

  test("answers are not cached and not for other origins, unless these are listed", async () => {
    const preflight = (origin: string) =>
      call(gateway, "/graphql", {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-type",
        },
      });
    const known = await preflight("https://admin.shop.example");
    expect(known.status).toBe(204);
    expect(known.headers.get("access-control-allow-origin")).toBe("https://admin.shop.example");
    expect(known.headers.get("access-control-allow-credentials")).toBe("true");
    expect(known.headers.get("access-control-allow-headers")).toContain("authorization");
    const stranger = await preflight("https://shop.example.evil.test");
    expect(stranger.headers.get("access-control-allow-origin")).toBeNull();
    expect(stranger.headers.get("access-control-allow-headers")).toBeNull();
    const answer = await ask(gateway, "{ me { id } }", { headers: { origin: "https://shop.example" } });
    expect(answer.headers.get("access-control-allow-origin")).toBe("https://shop.example");
    expect(answer.headers.get("vary")).toBe("Origin");
    expect(answer.headers.get("cache-control")).toBe("no-store");
  });
});

describe("when something fails", () => {
  test("a dead service costs its own fields, and its return needs no restart", async () => {
    const small = await startSmallShop();
    const over = await gatewayOf(small, database);
    const query = `{ orders(first: 2) { nodes { number lines { name sku { code } } } } sku(id: "sku-1") { code } }`;
    try {
      expect((await ask(over, query)).errors).toBeUndefined();
      await small.apps.inventory.close();
      const { status, data, errors, text } = await ask(over, query);
      expect(status).toBe(200);
      expect(data.orders.nodes[1]).toMatchObject({
        number: "N1",
        lines: [{ name: "Line 1", sku: null }, { sku: null }],
      });
      expect(data.sku).toBeNull();
      expect(errors?.map(({ extensions }) => extensions)).toEqual([
        { code: "SUBGRAPH_UNAVAILABLE", retryAfterMs: 1_000 },
        { code: "SUBGRAPH_UNAVAILABLE", retryAfterMs: 1_000 },
      ]);
      expect(errors?.map(({ path }) => path)).toContainEqual(["orders", "nodes"]);
      expect(text).not.toMatch(/inventory|ECONN|127\.0\.0\.1|stack/i);
      await small.restart("inventory");
      expect((await ask(over, query)).errors).toBeUndefined();
    } finally {
      await over.stop();
      await small.stop();
    }
  });

  test("it starts while no service and no database is there", async () => {
    const nowhere = "http://127.0.0.1:1";
    const alone = await gatewayOf(shop, database, {
      DATABASE_URL: "postgres://gateway:x@127.0.0.1:1/x",
      USERS_URL: nowhere,
      ORDERS_URL: nowhere,
      INVENTORY_URL: nowhere,
    });
    try {
      expect((await fetch(`${alone.healthUrl}/readyz`)).status).toBe(200);
      const { data, errors } = await ask(alone, "{ me { id } __typename }");
      expect(data).toEqual({ me: null, __typename: "Query" });
      expect(errors).toHaveLength(1);
    } finally {
      await alone.stop();
    }
  });

  test("what takes longer than the budget is given up", async () => {
    const hasty = await gatewayOf(shop, database, { REQUEST_BUDGET_MS: "300" });
    try {
      const startedMs = performance.now();
      const answer = await ask(hasty, "{ me { id } slow(ms: 5000) }");
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      expect(answer.data).toEqual({ me: { id: "u1" }, slow: null });
      expect(codeOf(answer)).toBe("TIMEOUT");
    } finally {
      await hasty.stop();
    }
  });

  test("codes and fields that a service gave stay, and nothing else of it is seen", async () => {
    const retryable = await ask(gateway, `{ broken(how: "retryable") }`);
    expect(retryable.errors).toEqual([
      {
        message: "The price is not known yet.",
        path: ["broken"],
        extensions: { code: "CATALOGUE_BEHIND", retryAfterMs: 250 },
      },
    ]);
    const problem = await ask(gateway, `{ broken(how: "problem") }`);
    expect(problem.errors?.[0]?.extensions).toEqual({ code: "BAD_USER_INPUT", field: "lines[0].quantity" });
    const unexpected = await ask(gateway, `{ broken(how: "secret") }`);
    expect(unexpected.errors).toEqual([
      { message: "Something went wrong.", path: ["broken"], extensions: { code: "INTERNAL_SERVER_ERROR" } },
    ]);
    expect(unexpected.text).not.toMatch(/10\.1\.2\.3|secret|serviceName|stack/);
  });

  test("a wrong variable, field or syntax is the caller's", async () => {
    const place = "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename } }";
    const variable = await ask(gateway, place, { variables: { input: { quantity: "many" } } });
    expect([variable.status, codeOf(variable)]).toEqual([400, "BAD_USER_INPUT"]);
    const field = await ask(gateway, "{ nothing }");
    expect([field.status, codeOf(field)]).toEqual([400, "GRAPHQL_VALIDATION_FAILED"]);
    const syntax = await ask(gateway, "{ me { id }");
    expect([syntax.status, codeOf(syntax)]).toEqual([400, "GRAPHQL_PARSE_FAILED"]);
  });
});

describe("running it", () => {
  test("health, readiness and metrics are on a port of their own", async () => {
    await ask(gateway, "mutation { placeOrder(input: { quantity: 1 }) { __typename } }");
    await ask(gateway, `{ broken(how: "retryable") }`);
    const page = async (path: string) => (await fetch(`${gateway.healthUrl}${path}`)).text();
    expect(await page("/livez")).toContain("alive");
    expect(await page("/readyz")).toContain("ready");
    const metrics = await page("/metrics");
    expect(metrics).toMatch(/requests_total\{operation="mutation",code="OK",service="gateway"\} \d/);
    expect(metrics).toMatch(/requests_total\{operation="query",code="CATALOGUE_BEHIND",/);
    expect(metrics).toMatch(/crowdcrunch_gateway_request_seconds_count\{service="gateway",operation="query"\}/);
    expect(metrics).toMatch(
      /crowdcrunch_gateway_fetch_seconds_count\{service="gateway",subgraph="orders",outcome="ok"\}/,
    );
  });

  test("a request that runs when it stops is answered, and new ones are not accepted", async () => {
    const stopping = await gatewayOf(shop, database);
    const running = ask(stopping, "{ slow(ms: 600) }");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stopped = stopping.stop();
    expect((await running).data).toEqual({ slow: "at last" });
    await stopped;
    await expect(ask(stopping, "{ me { id } }")).rejects.toThrow("fetch failed");
  });

  test("what runs longer than the grace is cut off", async () => {
    const stopping = await gatewayOf(shop, database, { SHUTDOWN_GRACE_MS: "200" });
    const running = ask(stopping, "{ slow(ms: 4000) }").catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const startedMs = performance.now();
    await stopping.stop();
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(await running).toBeInstanceOf(Error);
  });

  test("introspection can be switched off, and suggestions with it", async () => {
    const quiet = await gatewayOf(shop, database, { INTROSPECTION: "false" });
    try {
      expect((await ask(gateway, "{ __schema { queryType { name } } }")).data.__schema.queryType.name).toBe("Query");
      expect((await ask(quiet, "{ __schema { queryType { name } } }")).status).toBe(400);
      expect((await ask(gateway, "{ mee { id } }")).text).toContain("Did you mean");
      expect((await ask(quiet, "{ mee { id } }")).text).not.toContain("Did you mean");
    } finally {
      await quiet.stop();
    }
  });
});

describe("other paths", () => {
  test("each goes to the service that the list names, streamed, without cookies", async () => {
    const page = async (path: string, init?: RequestInit) => {
      const response = await fetch(`${gateway.url}${path}`, init);
      expect(response.headers.getSetCookie()).toEqual([]);
      return (await response.json()) as { service: string; url: string; headers: Record<string, string>; body: string };
    };
    expect(await page("/media/cup.svg?size=2")).toMatchObject({ service: "inventory", url: "/media/cup.svg?size=2" });
    expect(await page("/downloads/abc")).toMatchObject({ service: "inventory" });
    expect(await page("/")).toMatchObject({ service: "users", url: "/" });
    const shown = await page("/products/cup", { headers: { cookie: "refresh=abc", "if-none-match": '"1"' } });
    expect(shown).toMatchObject({
      service: "users",
      headers: { "if-none-match": '"1"', "x-client-address": "127.0.0.1" },
    });
    expect(shown.headers["cookie"]).toBeUndefined();
    const body = '{ "amount" : 1 }';
    const hook = await page("/hooks/payments", {
      method: "POST",
      body,
      headers: { "content-type": "application/vnd.hook+json", "x-signature": "s", "x-forwarded-for": "6.6.6.6" },
    });
    expect(hook).toMatchObject({ service: "orders", body, headers: { "x-signature": "s" } });
    expect(hook.headers["x-forwarded-for"]).toBeUndefined();
  });

  test("a dead service is a sentence, and what is not in the list does not exist", async () => {
    const partly = await gatewayOf(shop, database, { FRONTEND_URL: "http://127.0.0.1:1" });
    try {
      const dead = await fetch(`${partly.url}/`);
      expect([dead.status, dead.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(await dead.text()).not.toMatch(/ECONN|127/);
    } finally {
      await partly.stop();
    }
    expect((await fetch(`${gateway.url}/hooks/payments`, { method: "PUT", body: "x" })).status).toBe(404);
    expect((await fetch(`${gateway.url}/anything`, { method: "POST", body: "x" })).status).toBe(404);
    const large = await fetch(`${gateway.url}/hooks/payments`, { method: "POST", body: "x".repeat(256 * 1024 + 1) });
    expect(large.status).toBe(413);
  });
});
