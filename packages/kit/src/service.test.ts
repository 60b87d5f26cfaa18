import { once } from "node:events";
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import Type from "typebox";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { statement } from "./database.ts";
import { createLogger } from "./logger.ts";
import { defineService, start } from "./service.ts";
import type { RunningService } from "./service.ts";
import { createTestKeys } from "./testing/access-tokens.ts";
import type { TestKeys } from "./testing/access-tokens.ts";
import { createDatabase } from "./testing/postgres.ts";
import type { TestDatabase } from "./testing/postgres.ts";
import { until } from "./testing/service.ts";
import { startTcpProxy } from "./testing/tcp-proxy.ts";

const schema = `
type Query {
  "The database's answer."
  stored: Int! @access(roles: [PUBLIC])
  "Answers when the test lets it."
  slow: String! @access(roles: [PUBLIC])
}
`;
const storedNumber = statement<{ number: number }>("storedNumber", "SELECT number FROM numbers");

let folder: string;
let database: TestDatabase;
let keys: TestKeys;
/** Set by each test: what the field `slow` waits for. */
let slow: () => Promise<string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "crowdcrunch-service-"));
  await writeFile(join(folder, "schema.graphql"), schema);
  await mkdir(join(folder, "migrations"));
  await writeFile(
    join(folder, "migrations/001_numbers.sql"),
    `CREATE TABLE numbers AS SELECT 7 AS number; GRANT SELECT ON numbers TO :"role"`,
  );
  [database, keys] = await Promise.all([createDatabase(), createTestKeys()]);
});
afterAll(async () => {
  await Promise.all([database.drop(), keys.remove(), rm(folder, { recursive: true })]);
});
beforeEach(() => {
  slow = async () => "at once";
});

async function startSmallService(env: Record<string, string> = {}): Promise<RunningService> {
  const definition = defineService({
    name: "orders",
    root: pathToFileURL(`${folder}/`),
    config: Type.Object({}),
    wire: ({ db }) => ({
      resolvers: {
        Query: { stored: async () => (await db.one(storedNumber))?.number, slow: () => slow() },
      },
    }),
  });
  return start(definition, {
    env: {
      PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url("orders"),
      OWNER_DATABASE_URL: database.url("orders_owner"),
      JWKS_FILE: keys.jwksFile,
      ...env,
    },
    log: createLogger({ service: "orders", level: "silent" }),
    processMetrics: false,
  });
}

/** Posts a query; over the agent's connection, as the gateway does. */
function ask(url: string, query: string, agent: Agent): Promise<{ status: number; body: any }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const sent = request(`${url}/graphql`, { method: "POST", headers, agent }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body: JSON.parse(body) }), reject);
    });
    sent.on("error", reject);
    sent.end(JSON.stringify({ query }));
  });
}

async function probe(url: string): Promise<{ status: number; body: any }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("it starts while the database is away, says so, and survives its absence later", async () => {
  const target = new URL(database.url("orders"));
  const behind = { host: target.hostname, port: Number(target.port) };
  let proxy = await startTcpProxy(behind);
  const { port } = proxy;
  await proxy.close();
  const through = (role: string) => {
    const url = new URL(database.url(role));
    url.port = String(port);
    return url.href;
  };
  const healthPort = await freePort();
  const starting = startSmallService({
    METRICS_PORT: String(healthPort),
    DATABASE_URL: through("orders"),
    OWNER_DATABASE_URL: through("orders_owner"),
  });
  const health = `http://127.0.0.1:${healthPort}`;
  await until(async () => (await probe(`${health}/livez`).catch(() => undefined))?.status === 200, "liveness");
  expect(await probe(`${health}/readyz`)).toEqual({
    status: 503,
    body: { status: "waiting", waitingFor: ["database"] },
  });

  proxy = await startTcpProxy(behind, port);
  const service = await starting;
  const agent = new Agent({ keepAlive: true });
  try {
    expect(await probe(`${health}/readyz`)).toEqual({ status: 200, body: { status: "ready", waitingFor: [] } });
    expect((await ask(service.url, "{ stored }", agent)).body).toEqual({ data: { stored: 7 } });

    await proxy.close();
    const { body } = await ask(service.url, "{ stored }", agent);
    expect(body.errors[0].extensions).toMatchObject({ code: "UNAVAILABLE", retryAfterMs: 1000 });
    expect((await probe(`${health}/livez`)).status).toBe(200);
    // It answers, and better than a refused connection: see readiness in health.ts.
    expect((await probe(`${health}/readyz`)).status).toBe(200);

    proxy = await startTcpProxy(behind, port);
    await until(
      async () => (await ask(service.url, "{ stored }", agent)).body.data?.stored === 7,
      "an answer with the database back",
    );
  } finally {
    agent.destroy();
    await service.stop();
    await proxy.close();
  }
});

test("a service that stops serves on for a while, and sends its callers away with their answers", async () => {
  const service = await startSmallService({ SHUTDOWN_WAIT_MS: "1500", SHUTDOWN_GRACE_MS: "8000" });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await ask(service.url, "{ stored }", agent);
  const [kept] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
  const ended = once(kept!, "close");
  const stopped = service.stop();
  await until(async () => (await probe(`${service.healthUrl}/readyz`)).status === 503, "that it is not ready");
  expect(await ask(service.url, "{ stored }", agent)).toEqual({ status: 200, body: { data: { stored: 7 } } });
  await ended;
  expect(Object.keys(agent.freeSockets)).toEqual([]);
  // Who does not know yet that it stops may still connect.
  expect(await ask(service.url, "{ stored }", agent)).toEqual({ status: 200, body: { data: { stored: 7 } } });
  await stopped;
  await expect(ask(service.url, "{ stored }", agent)).rejects.toThrow("ECONNREFUSED");
  agent.destroy();
});

test("a stop lets requests end and does not wait for the kept connection they came on", async () => {
  const service = await startSmallService({ SHUTDOWN_GRACE_MS: "8000" });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  await ask(service.url, "{ stored }", agent);
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  slow = () => (enter(), answer);
  const running = ask(service.url, "{ slow stored }", agent);
  await entered;
  const beganMs = performance.now();
  const stopped = service.stop();
  await until(async () => (await probe(`${service.healthUrl}/readyz`)).status === 503, "that it is not ready");
  expect((await probe(`${service.healthUrl}/readyz`)).body.waitingFor).toEqual(["shutdown"]);
  expect((await probe(`${service.healthUrl}/livez`)).status).toBe(200);
  resolve("at last");
  expect(await running).toEqual({ status: 200, body: { data: { slow: "at last", stored: 7 } } });
  await stopped;
  expect(performance.now() - beganMs).toBeLessThan(2_000);
  await expect(ask(service.url, "{ stored }", agent)).rejects.toThrow("ECONNREFUSED");
  await expect(probe(`${service.healthUrl}/livez`)).rejects.toThrow("fetch failed");
  agent.destroy();
});

test("a request that comes on a busy connection during the stop is answered", async () => {
  const service = await startSmallService({ SHUTDOWN_GRACE_MS: "8000" });
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  slow = () => (enter(), answer);
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  const send = (query: string) => {
    const body = JSON.stringify({ query });
    const head = `POST /graphql HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json`;
    socket.write(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
  };
  send("{ slow }");
  await entered;
  const stopped = service.stop();
  await until(async () => (await probe(`${service.healthUrl}/readyz`)).status === 503, "that it is not ready");
  send("{ stored }");
  setTimeout(() => resolve("at last"), 100);
  const received = await text(socket);
  expect(received.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
  expect(received).toContain('{"data":{"stored":7}}');
  await stopped;
});

test("what runs longer than the grace is cut off", async () => {
  const service = await startSmallService({ SHUTDOWN_GRACE_MS: "200" });
  const agent = new Agent();
  const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
  slow = () => (enter(), new Promise<string>(() => {}));
  const running = ask(service.url, "{ slow }", agent).catch((error: unknown) => error);
  await entered;
  const beganMs = performance.now();
  await service.stop();
  expect(performance.now() - beganMs).toBeLessThan(1_500);
  expect(await running).toBeInstanceOf(Error);
});
