import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";

let shop: SmallShop;
let database: TestDatabase;
let gateway: RunningGateway;
beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
  gateway = await gatewayOf(shop, database, { FAULT_INJECTION: "true" });
});
afterAll(async () => {
  await gateway?.stop();
  await shop?.stop();
  await database?.drop();
});
beforeEach(() => set());

async function put(faults: object[], roles: string[]) {
  const authorization = `Bearer ${await shop.token({ roles })}`;
  const headers = { "content-type": "application/json", authorization };
  return call(gateway, "/faults", { method: "PUT", headers, body: JSON.stringify({ faults }) });
}
async function set(...faults: object[]): Promise<void> {
  expect((await put(faults, ["ADMIN"])).status).toBe(200);
}

const threeServices = `{ me { email } order(number: "N1") { number lines { sku { code } } } }`;

describe("gateway.fetch", () => {
  test("costs the fields of the one service, and nothing else", async () => {
    await set({ point: "gateway.fetch", action: "error", match: "inventory" });
    const { data, errors } = await ask(gateway, threeServices);
    expect(data).toMatchObject({
      me: { email: "ada@example.org" },
      order: { number: "N1", lines: [{ sku: null }, { sku: null }] },
    });
    expect(errors?.map(({ extensions }) => extensions["code"])).toEqual(["SUBGRAPH_UNAVAILABLE"]);
  });

  test("is tried again for a query as a lost connection is, and not for a mutation", async () => {
    await set({ point: "gateway.fetch", action: "error", times: 1 });
    expect((await ask(gateway, "{ me { email } }")).errors).toBeUndefined();
    await set({ point: "gateway.fetch", action: "error", times: 1 });
    const before = shop.placed();
    const placed = await ask(gateway, "mutation { placeOrder(input: { quantity: 1 }) { ... on Order { number } } }");
    expect(codeOf(placed)).toBe("SUBGRAPH_UNAVAILABLE");
    expect(shop.placed()).toBe(before);
  });

  test("can be slow", async () => {
    await set({ point: "gateway.fetch", action: "delay", delayMs: 200, match: "users" });
    const startedMs = performance.now();
    expect((await ask(gateway, "{ me { email } }")).data.me.email).toBe("ada@example.org");
    expect(performance.now() - startedMs).toBeGreaterThan(190);
  });
});

test("graphql.request fails as a gateway that cannot work: 503 and UNAVAILABLE", async () => {
  await set({ point: "graphql.request", action: "error", match: "query Account me" });
  const refused = await ask(gateway, "query Account { me { email } }");
  expect([refused.status, codeOf(refused)]).toEqual([503, "UNAVAILABLE"]);
  expect((await ask(gateway, "query Other { me { email } }")).status).toBe(200);
});

test("/faults is for administrators alone, and is not there where faults are off", async () => {
  const anonymous = await call(gateway, "/faults", { method: "GET" });
  expect([anonymous.status, JSON.parse(anonymous.text)]).toMatchObject([401, { error: { code: "UNAUTHENTICATED" } }]);
  const staff = await put([], ["STAFF"]);
  expect([staff.status, JSON.parse(staff.text)]).toMatchObject([403, { error: { code: "FORBIDDEN" } }]);

  const sober = await gatewayOf(shop, database);
  try {
    const authorization = `Bearer ${await shop.token({ roles: ["ADMIN"] })}`;
    const headers = { "content-type": "application/json", authorization };
    expect((await call(sober, "/faults", { method: "PUT", headers, body: `{"faults":[]}` })).status).toBe(404);
  } finally {
    await sober.stop();
  }
});
