import { createConnection } from "node:net";
import { Agent, request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "@crowdcrunch/kit/logger";
import { postgresEventLog } from "@crowdcrunch/kit/eventlog-postgres";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import { Pool } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { listen, startLiveServices, tellerOf } from "./live-world.ts";
import type { Ear, LiveOrder, LiveServices } from "./live-world.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";

let shop: SmallShop;
let services: LiveServices;
let database: TestDatabase;
let gateway: RunningGateway;
let tell: ReturnType<typeof tellerOf>;
/** For what happens at once, on a busy machine too. */
const patience = { timeout: 10_000 };
const closing: (() => Promise<unknown>)[] = [];
const ears: Ear[] = [];

beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
  services = await startLiveServices(shop.jwksFile);
  const open = async (service: "orders" | "inventory" | "users"): Promise<EventLog> => {
    const url = database.url(service);
    const pool = new Pool({ connectionString: url, max: 2 });
    const eventLog = postgresEventLog({ pool, url, service, log: createLogger({ service, level: "silent" }) });
    await eventLog.ensureTopics([{ topic: service, partitions: 8 }]);
    closing.push(async () => {
      await eventLog.close();
      await pool.end();
    });
    return eventLog;
  };
  tell = tellerOf({ orders: await open("orders"), inventory: await open("inventory"), users: await open("users") });
  gateway = await startGateway();
});

afterEach(() => {
  for (const ear of ears.splice(0)) ear.stop();
});

afterAll(async () => {
  await gateway?.stop();
  for (const close of closing) await close();
  await services?.stop();
  await shop?.stop();
  await database?.drop();
});

function startGateway(env: Record<string, string> = {}): Promise<RunningGateway> {
  return gatewayOf({ ...shop, supergraph: services.supergraph }, database, {
    ORDERS_URL: services.urls.orders,
    INVENTORY_URL: services.urls.inventory,
    ...env,
  });
}

/** A new order of a new person. */
function placed(): LiveOrder {
  const order = {
    id: crypto.randomUUID(),
    customerId: crypto.randomUUID(),
    number: crypto.randomUUID(),
    status: "PENDING",
    version: 1,
  };
  services.orders.set(order.number, order);
  return order;
}

/** Changes an order, and tells of it as its owner does. */
async function change(order: LiveOrder, status: string, version = order.version + 1): Promise<void> {
  Object.assign(order, { status, version });
  await tell.order(order);
}

const tokenOf = (order: LiveOrder, claims: Record<string, unknown> = {}) =>
  shop.token({ sub: order.customerId, sid: crypto.randomUUID(), ...claims });

const updates = `subscription ($number: String!) { orderUpdated(number: $number) { number status } }`;

function follow(order: LiveOrder, token?: string, at: { url: string } = gateway): Ear {
  const ear = listen(at, { query: updates, variables: { number: order.number } }, token);
  ears.push(ear);
  return ear;
}

const isStatus = (status: string) => (result: any) => result.data?.orderUpdated?.status === status;
const statuses = (ear: Ear) => ear.results.map(({ data }) => data?.orderUpdated?.status);
const codes = (ear: Ear) => ear.results.flatMap(({ errors = [] }) => errors.map((error: any) => error.extensions.code));

async function metric(at: RunningGateway, name: string): Promise<number> {
  const text = await (await fetch(`${at.healthUrl}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

describe("who listens", () => {
  test("gets the state now, then each change, and nothing else than was asked for", async () => {
    const order = placed();
    const ear = follow(order, await tokenOf(order));
    await ear.hears(isStatus("PENDING"));
    expect(ear.results).toEqual([{ data: { orderUpdated: { number: order.number, status: "PENDING" } } }]);
    await change(order, "CONFIRMED");
    await ear.hears(isStatus("CONFIRMED"));
    await change(order, "SHIPPED");
    await ear.hears(isStatus("SHIPPED"));
    expect(statuses(ear)).toEqual(["PENDING", "CONFIRMED", "SHIPPED"]);
    expect(ear.results.at(-1)).toEqual({ data: { orderUpdated: { number: order.number, status: "SHIPPED" } } });
    expect(ear.ended).toBeUndefined();
  });

  test("misses nothing that happens while the state is asked for the first time", async () => {
    const order = placed();
    let release = () => {};
    const before = services.asked.orders;
    services.hold.until = new Promise<void>((resolve) => (release = resolve));
    const ear = follow(order, await tokenOf(order));
    await vi.waitFor(() => expect(services.asked.orders).toBe(before + 1), patience);
    // The answer that is on its way still says PENDING.
    await change(order, "CONFIRMED");
    await sleep(300);
    services.hold.until = Promise.resolve();
    release();
    await ear.hears(isStatus("CONFIRMED"));
    expect(statuses(ear)).toEqual(["PENDING", "CONFIRMED"]);
  });

  test("hears of articles by an argument's list, without a token", async () => {
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    services.availability.set(first, "AVAILABLE").set(second, "AVAILABLE");
    const query = `subscription ($ids: [ID!]!) { seen: availabilityChanged(skuIds: $ids) { ...parts } } fragment parts on Sku { availability }`;
    const ear = listen(gateway, { query, variables: { ids: [first, second] } });
    ears.push(ear);
    await ear.hears(({ data }) => data.seen.length === 2);
    services.availability.set(second, "LOW");
    await tell.availability(second);
    await ear.hears(({ data }) => data.seen[1].availability === "LOW");
    expect(ear.results).toHaveLength(2);
    await tell.availability(crypto.randomUUID());
    await sleep(200);
    expect(ear.results).toHaveLength(2);
  });

  test("does not get what has not changed, nor what is older than the last", async () => {
    const order = placed();
    const ear = follow(order, await tokenOf(order));
    await change(order, "CONFIRMED", 5);
    await ear.hears(isStatus("CONFIRMED"));
    const before = services.asked.orders;
    await tell.order(order);
    await vi.waitFor(() => expect(services.asked.orders).toBeGreaterThan(before), patience);
    await change(order, "OLD", 4);
    await vi.waitFor(() => expect(services.asked.orders).toBeGreaterThan(before + 1), patience);
    await change(order, "SHIPPED", 6);
    await ear.hears(isStatus("SHIPPED"));
    expect(statuses(ear).filter((status) => status !== "PENDING")).toEqual(["CONFIRMED", "SHIPPED"]);
  });

  test("comes late and gets the state of then; who has it already does not get it again", async () => {
    const order = placed();
    const token = await tokenOf(order);
    const early = follow(order, token);
    await early.hears(isStatus("PENDING"));
    const late = follow(order, token);
    await late.hears(isStatus("PENDING"));
    await change(order, "CONFIRMED");
    await Promise.all([early.hears(isStatus("CONFIRMED")), late.hears(isStatus("CONFIRMED"))]);
    expect([statuses(early), statuses(late)]).toEqual([
      ["PENDING", "CONFIRMED"],
      ["PENDING", "CONFIRMED"],
    ]);
  });
});

describe("who may not listen", () => {
  test("is told what the query would tell, and the stream ends: somebody else, and nobody", async () => {
    const order = placed();
    const stranger = follow(order, await shop.token({ sub: crypto.randomUUID() }));
    await stranger.ends();
    expect(stranger.results).toEqual([{ data: { orderUpdated: null } }]);
    const nobody = follow(order);
    await nobody.ends();
    expect(nobody.results[0].data).toEqual({ orderUpdated: null });
    expect(codes(nobody)).toEqual(["UNAUTHENTICATED"]);
    const guest = follow(order, await tokenOf(order, { roles: ["GUEST"] }));
    await guest.ends();
    expect(codes(guest)).toEqual(["FORBIDDEN"]);
    const staff = follow(order, await shop.token({ sub: crypto.randomUUID(), roles: ["STAFF"] }));
    await staff.hears(isStatus("PENDING"));
  });

  test("hears no more when the thing is given to somebody else", async () => {
    const order = placed();
    const ear = follow(order, await tokenOf(order));
    await ear.hears(isStatus("PENDING"));
    order.customerId = crypto.randomUUID();
    await change(order, "CONFIRMED");
    await ear.ends();
    expect(statuses(ear)).toEqual(["PENDING", undefined]);
  });

  test("is refused at the door with a bad token", async () => {
    const order = placed();
    const ear = follow(order, "nonsense");
    await ear.ends();
    expect(String(ear.ended)).toContain("401");
  });
});

describe("a stream ends", () => {
  test("with its token, and says so", async () => {
    const order = placed();
    const now = Date.now() / 1_000;
    const ear = follow(order, await tokenOf(order, { exp: now + 2 }));
    await ear.hears(isStatus("PENDING"));
    await ear.ends();
    expect([ear.ended, codes(ear)]).toEqual([true, ["UNAUTHENTICATED"]]);
    expect(Date.now() / 1_000).toBeGreaterThan(now + 1.5);
  });

  test("when its session is revoked; another session of the same person hears on", async () => {
    const order = placed();
    const [here, there] = [crypto.randomUUID(), crypto.randomUUID()];
    const ended = follow(order, await tokenOf(order, { sid: here }));
    const other = follow(order, await tokenOf(order, { sid: there }));
    await Promise.all([ended.hears(isStatus("PENDING")), other.hears(isStatus("PENDING"))]);
    await tell.revoked(order.customerId, here);
    await ended.ends();
    expect([ended.ended, codes(ended)]).toEqual([true, ["UNAUTHENTICATED"]]);
    await change(order, "CONFIRMED");
    await other.hears(isStatus("CONFIRMED"));
    expect(statuses(ended)).not.toContain("CONFIRMED");
  });

  test("when the gateway stops, within its grace; at the next one the state of then is heard", async () => {
    const order = placed();
    const token = await tokenOf(order);
    const first = await startGateway();
    const port = new URL(first.url).port;
    const before = follow(order, token, first);
    await before.hears(isStatus("PENDING"));
    const startedMs = performance.now();
    await first.stop();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    await before.ends();
    expect([before.ended, codes(before)]).toEqual([true, ["UNAVAILABLE"]]);
    expect(before.results.at(-1).errors[0].extensions.retryAfterMs).toBeGreaterThan(0);
    // Nobody hears this.
    await change(order, "CONFIRMED");
    const second = await startGateway({ PORT: port });
    try {
      const after = follow(order, token, second);
      await after.hears(isStatus("CONFIRMED"));
      await change(order, "SHIPPED");
      await after.hears(isStatus("SHIPPED"));
    } finally {
      await second.stop();
    }
  });

  test("when the client goes, and nothing is kept or asked for it", async () => {
    const order = placed();
    const open = await metric(gateway, "crowdcrunch_gateway_live_streams");
    const ear = follow(order, await tokenOf(order));
    await ear.hears(isStatus("PENDING"));
    expect(await metric(gateway, "crowdcrunch_gateway_live_streams")).toBe(open + 1);
    ear.stop();
    await vi.waitFor(
      async () => expect(await metric(gateway, "crowdcrunch_gateway_live_streams")).toBe(open),
      patience,
    );
    const before = services.asked.orders;
    await change(order, "CONFIRMED");
    await sleep(300);
    expect(services.asked.orders).toBe(before);
  });
});

describe("what goes wrong", () => {
  test("events that were missed while the log was away: each group is asked again", async () => {
    const direct = new URL(database.url("gateway"));
    const proxy = await startTcpProxy({ host: direct.hostname, port: Number(direct.port) });
    const through = new URL(direct);
    through.port = String(proxy.port);
    const cutOff = await startGateway({ DATABASE_URL: through.href });
    try {
      const orders = [placed(), placed(), placed()];
      const listening = await Promise.all(orders.map(async (order) => follow(order, await tokenOf(order), cutOff)));
      await Promise.all(listening.map((ear) => ear.hears(isStatus("PENDING"))));
      for (const status of ["CONFIRMED", "SHIPPED"]) {
        proxy.cut();
        await Promise.all(orders.map((order) => change(order, status)));
        await Promise.all(listening.map((ear) => ear.hears(isStatus(status))));
      }
    } finally {
      await cutOff.stop();
      await proxy.close();
    }
  });

  test("a service that is away: what it has to say comes when it is back", async () => {
    const order = placed();
    const ear = follow(order, await tokenOf(order));
    await ear.hears(isStatus("PENDING"));
    await services.stopOrders();
    try {
      await change(order, "CONFIRMED");
      await sleep(300);
      expect([ear.ended, statuses(ear)]).toEqual([undefined, ["PENDING"]]);
    } finally {
      await services.startOrders();
    }
    await ear.hears(isStatus("CONFIRMED"));
  });

  test("a slow client gets the latest and not all, and is no burden to the others", async () => {
    const order = placed();
    const token = await tokenOf(order);
    const body = JSON.stringify({ query: updates, variables: { number: order.number } });
    const slow = createConnection({ host: "127.0.0.1", port: Number(new URL(gateway.url).port) });
    slow.write(
      `POST /graphql HTTP/1.1\r\nHost: shop\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    let heard = "";
    slow.setEncoding("utf8");
    slow.once("data", (text) => (heard += text));
    await vi.waitFor(() => expect(heard).toContain("200 OK"), patience);
    slow.pause();
    const quick = follow(order, token);
    await quick.hears(isStatus("PENDING"));

    const large = (round: number) => `${round} ${"x".repeat(200_000)}`;
    let rounds = 0;
    const before = await metric(gateway, "crowdcrunch_gateway_live_superseded_total");
    while ((await metric(gateway, "crowdcrunch_gateway_live_superseded_total")) < before + 5 && rounds < 150) {
      rounds++;
      await change(order, large(rounds));
      await quick.hears(isStatus(large(rounds)));
    }
    expect(quick.results).toHaveLength(rounds + 1);
    slow.on("data", (text) => (heard += text));
    slow.resume();
    await vi.waitFor(() => expect(heard).toContain(`"${rounds} xxx`), { timeout: 10_000, interval: 50 });
    expect(heard.match(/event: next/g)!.length).toBeLessThanOrEqual(rounds - 4);
    slow.destroy();
  });

  test("more than may be listened to at once", async () => {
    const narrow = await startGateway({ LIVE_STREAMS: "3", LIVE_STREAMS_PER_PERSON: "2" });
    try {
      const order = placed();
      const token = await tokenOf(order);
      const mine = [follow(order, token, narrow), follow(order, token, narrow)];
      await Promise.all(mine.map((ear) => ear.hears(isStatus("PENDING"))));
      const open = (as: string) =>
        call(narrow, "/graphql", {
          method: "POST",
          headers: {
            accept: "text/event-stream",
            "content-type": "application/json",
            authorization: `Bearer ${as}`,
          },
          body: JSON.stringify({ query: updates, variables: { number: order.number } }),
        });
      const third = await open(token);
      expect([third.status, codeOf(third)]).toEqual([429, "TOO_MANY_STREAMS"]);
      const others = [placed(), placed()];
      const last = follow(others[0]!, await tokenOf(others[0]!), narrow);
      await last.hears(isStatus("PENDING"));
      const beyond = await open(await tokenOf(others[1]!));
      expect([beyond.status, codeOf(beyond)]).toEqual([503, "UNAVAILABLE"]);
      mine[0]!.stop();
      await vi.waitFor(async () => expect(await metric(narrow, "crowdcrunch_gateway_live_streams")).toBe(2), patience);
      await follow(order, token, narrow).hears(isStatus("PENDING"));
    } finally {
      await narrow.stop();
    }
  });
});

describe("what is asked", () => {
  const inStream = (query: string, more: object = {}, headers: Record<string, string> = {}) =>
    call(gateway, "/graphql", {
      method: "POST",
      headers: { accept: "text/event-stream", "content-type": "application/json", ...headers },
      body: JSON.stringify({ query, ...more }),
    });

  test.each([
    ["an unknown field", "subscription { nothing }", {}, "GRAPHQL_VALIDATION_FAILED"],
    [
      "two fields",
      `subscription { a: orderUpdated(number: "1") { id } b: orderUpdated(number: "2") { id } }`,
      {},
      "GRAPHQL_VALIDATION_FAILED",
    ],
    ["a wrong variable", updates, { variables: { number: 7 } }, "BAD_USER_INPUT"],
    [
      "a directive at the root",
      `subscription ($no: Boolean = false) { orderUpdated(number: "1") @include(if: $no) { id } }`,
      {},
      "GRAPHQL_VALIDATION_FAILED",
    ],
    [
      "a directive at the root that says nothing",
      `subscription { orderUpdated(number: "1") @include(if: true) { id } }`,
      {},
      "BAD_REQUEST",
    ],
    [
      "too much",
      `subscription { orderUpdated(number: "1") ${"{ related ".repeat(16)} { id } ${"}".repeat(16)} }`,
      {},
      "QUERY_TOO_LARGE",
    ],
    ["too many characters", updates, { variables: { number: "x".repeat(20_000) } }, "QUERY_TOO_LARGE"],
  ])("%s is refused in the stream, as the protocol has it", async (_, query, more, code) => {
    const answer = await inStream(query, more);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    const [first, last, end] = answer.text.split("\n\n");
    expect(JSON.parse(first!.replace("event: next\ndata: ", "")).errors[0].extensions.code).toBe(code);
    expect([last, end]).toEqual(["event: complete\ndata:", ""]);
  });

  test("a subscription without a stream is told what it lacks", async () => {
    const order = placed();
    const answer = await ask(gateway, updates, { variables: { number: order.number }, token: await tokenOf(order) });
    expect([answer.status, codeOf(answer)]).toEqual([406, "BAD_REQUEST"]);
    expect(answer.errors?.[0]?.message).toContain("text/event-stream");
  });

  test("a query in a stream is one result", async () => {
    const { text } = await inStream("{ __typename }");
    expect(text).toBe(`event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n`);
  });

  test("by GET, as browsers' EventSource does, with comments while nothing happens", async () => {
    const patient = await startGateway({ LIVE_HEARTBEAT_MS: "500" });
    const stopping = new AbortController();
    try {
      const skuId = crypto.randomUUID();
      const query = encodeURIComponent(`subscription { availabilityChanged(skuIds: ["${skuId}"]) { id } }`);
      const response = await fetch(`${patient.url}/graphql?query=${query}`, {
        headers: { accept: "text/event-stream" },
        signal: stopping.signal,
      });
      expect(response.headers.get("x-accel-buffering")).toBe("no");
      let heard = "";
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      while (!/\n\n(:\n\n){2}/.test(heard)) heard += (await reader.read()).value;
      expect(heard).toBe(`event: next\ndata: {"data":{"availabilityChanged":[{"id":"${skuId}"}]}}\n\n:\n\n:\n\n`);
    } finally {
      stopping.abort();
      await patient.stop();
    }
  });
});

describe("a thousand streams on one order", () => {
  test("cost one query an event, and one for events that come together", { timeout: 60_000 }, async () => {
    const many = 1_000;
    const wide = await startGateway({ LIVE_STREAMS_PER_PERSON: String(many) });
    const agent = new Agent({ maxSockets: Infinity });
    try {
      const order = placed();
      const token = await tokenOf(order);
      const heard: string[] = Array.from({ length: many }, () => "");
      const open = (at: number) =>
        new Promise<void>((resolve, reject) => {
          const sent = httpRequest(
            `${wide.url}/graphql`,
            {
              agent,
              method: "POST",
              headers: {
                accept: "text/event-stream",
                "content-type": "application/json",
                authorization: `Bearer ${token}`,
              },
            },
            (response) => {
              response.setEncoding("utf8").on("data", (text: string) => (heard[at] += text));
              response.on("error", () => {});
              resolve();
            },
          );
          sent.on("error", reject).end(JSON.stringify({ query: updates, variables: { number: order.number } }));
        });
      for (let at = 0; at < many; at += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, offset) => open(at + offset)));
      }
      const allHear = (status: string) =>
        vi.waitFor(() => expect(heard.filter((text) => text.includes(`"status":"${status}"`))).toHaveLength(many), {
          timeout: 20_000,
          interval: 20,
        });
      await allHear("PENDING");
      for (let step = 1; step <= 10; step++) {
        const before = services.asked.orders;
        await change(order, `STEP${step}.`);
        await allHear(`STEP${step}.`);
        expect(services.asked.orders).toBe(before + 1);
      }
      const before = services.asked.orders;
      const versions = [1, 2, 3, 4, 5].map((step) => order.version + step);
      Object.assign(order, { status: "TOGETHER.", version: versions.at(-1) });
      await tell.order(...versions.map((version) => ({ ...order, version })));
      await allHear("TOGETHER.");
      await sleep(200);
      expect(services.asked.orders).toBe(before + 1);
      for (const text of heard) expect(text.match(/event: next/g)).toHaveLength(12);
    } finally {
      agent.destroy();
      await wide.stop();
    }
  });
});
