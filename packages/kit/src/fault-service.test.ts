import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath, pathToFileURL } from "node:url";
import Type from "typebox";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Role } from "./identity.ts";
import { createLogger } from "./logger.ts";
import { defineService, start } from "./service.ts";
import type { RunningService } from "./service.ts";
import { createTestKeys } from "./testing/access-tokens.ts";
import type { TestKeys } from "./testing/access-tokens.ts";
import { createDatabase } from "./testing/postgres.ts";
import type { TestDatabase } from "./testing/postgres.ts";

const schema = `
type Query {
  "Answers."
  hello: String! @access(roles: [PUBLIC])
}
`;

let root: URL;
let database: TestDatabase;
let keys: TestKeys;
let running: RunningService | undefined;
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-faults-"));
  root = pathToFileURL(`${folder}/`);
  await mkdir(join(folder, "migrations"));
  await writeFile(join(folder, "schema.graphql"), schema);
  await writeFile(join(folder, "migrations/001_nothing.sql"), "SELECT 1");
  [database, keys] = await Promise.all([createDatabase(), createTestKeys()]);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
});
afterAll(() => Promise.all([database.drop(), keys.remove(), rm(root, { recursive: true })]));

function environment(more: Record<string, string>): Record<string, string> {
  return {
    ...{ PORT: "0", METRICS_PORT: "0", JWKS_FILE: keys.jwksFile, SHUTDOWN_GRACE_MS: "500" },
    ...{ DATABASE_URL: database.url("orders"), OWNER_DATABASE_URL: database.url("orders_owner") },
    ...more,
  };
}

async function startService(env: Record<string, string> = {}): Promise<RunningService> {
  const definition = defineService({
    name: "orders",
    root,
    config: Type.Object({}),
    wire: () => ({ resolvers: { Query: { hello: () => "hello" } } }),
  });
  const log = createLogger({ service: "orders", level: "silent" });
  running = await start(definition, { env: environment(env), log, processMetrics: false });
  return running;
}

/** Asks as somebody with a role, or as nobody. */
async function ask(url: string, query: string, role?: Role): Promise<{ status: number; data: any; errors?: any[] }> {
  const token = role && (await keys.signToken({ roles: [role] }));
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(`${url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  return { status: response.status, ...((await response.json()) as { data: any }) };
}

const on = { FAULT_INJECTION: "true" };
const set = (faults: string) =>
  `mutation { ordersSetFaults(faults: [${faults}]) { point action rate seed passes fired } }`;
const failing = `{ point: "graphql.request", action: "error", match: "query hello" }`;

describe("the mutation that sets faults", () => {
  test("is for administrators alone", async () => {
    const { url } = await startService(on);
    for (const query of [set(failing), "{ ordersFaults { point } }"]) {
      expect((await ask(url, query)).errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED" } }]);
      for (const role of ["GUEST", "SHOPPER", "STAFF"] as const)
        expect((await ask(url, query, role)).errors).toMatchObject([{ extensions: { code: "FORBIDDEN" } }]);
    }
    expect(await ask(url, "{ ordersFaults { point } }", "ADMIN")).toMatchObject({ data: { ordersFaults: [] } });
  });

  test("lets requests fail until it clears them, which no fault prevents", async () => {
    const { url } = await startService(on);
    expect(await ask(url, set(`{ point: "graphql.request", action: "error" }`), "ADMIN")).toMatchObject({
      data: { ordersSetFaults: [{ point: "graphql.request", action: "error", rate: 1, seed: 1, passes: 0, fired: 0 }] },
    });
    for (let time = 0; time < 2; time++) {
      expect(await ask(url, "{ hello }")).toMatchObject({
        status: 503,
        errors: [{ message: expect.stringContaining("try again"), extensions: { code: "UNAVAILABLE" } }],
      });
    }
    const listed = await ask(url, "{ ordersFaults { passes fired } }", "ADMIN");
    expect(listed.data).toEqual({ ordersFaults: [{ passes: 2, fired: 2 }] });
    expect((await ask(url, set(""), "ADMIN")).data).toEqual({ ordersSetFaults: [] });
    expect(await ask(url, "{ hello }")).toMatchObject({ status: 200, data: { hello: "hello" } });
  });

  test("matches what is asked", async () => {
    const { url } = await startService(on);
    await ask(url, set(failing), "ADMIN");
    expect(await ask(url, "query Greeting { hello }")).toMatchObject({ status: 200 });
    expect(await ask(url, "query { hello }")).toMatchObject({ status: 503 });
  });

  test("names all that is wrong", async () => {
    const { url } = await startService(on);
    const wrong = `{ point: "nowhere", action: "kill" }, { point: "graphql.request", action: "cut", rate: 7 }`;
    const { errors } = await ask(url, set(wrong), "ADMIN");
    expect(errors).toMatchObject([{ extensions: { code: "BAD_USER_INPUT", field: "faults" } }]);
    expect(errors?.[0].message.split("\n")).toEqual([
      expect.stringContaining("nowhere:kill: there is no such point"),
      expect.stringContaining("graphql.request:cut: there is no such action at this point"),
      expect.stringContaining("rate is 7"),
    ]);
  });

  test("is refused, and so is the list, where faults are off", async () => {
    const { url } = await startService();
    for (const query of [set(failing), "{ ordersFaults { point } }"]) {
      const { errors } = await ask(url, query, "ADMIN");
      expect(errors).toMatchObject([
        { message: expect.stringContaining("FAULT_INJECTION=true"), extensions: { code: "FAULTS_OFF" } },
      ]);
    }
    expect(await ask(url, "{ hello }")).toMatchObject({ status: 200 });
  });
});

test("a service that is told to allow faults in production does not start", async () => {
  await expect(startService({ ...on, NODE_ENV: "production" })).rejects.toThrow(/not for production/);
  await expect(startService({ FAULTS: "graphql.request:error" })).rejects.toThrow(/FAULT_INJECTION is not/);
});

describe("a process", () => {
  /** Runs the service as a process of its own, asks it once it is ready, and resolves to how it ended. */
  async function fate(faults: string): Promise<{ code: number | null; signal: string | null; last: object }> {
    const program = `
      import Type from "typebox";
      import { defineService, start } from ${JSON.stringify(new URL("service.ts", import.meta.url).href)};
      const definition = defineService({
        name: "orders", root: new URL(${JSON.stringify(root.href)}), config: Type.Object({}),
        wire: () => ({ resolvers: { Query: { hello: () => "hello" } } }),
      });
      await start(definition, { env: process.env });
    `;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      env: environment({ ...on, FAULTS: faults }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const closed = once(child, "close") as Promise<[number | null, string | null]>;
    let last: { msg?: string; url?: string } = {};
    for await (const line of createInterface({ input: child.stdout })) {
      last = JSON.parse(line) as typeof last;
      if (last.msg === "ready") void ask(last.url!, "query Hello { hello }").catch(() => {});
    }
    const [code, signal] = await closed;
    return { code, signal, last };
  }

  test("is killed where a fault says so; its last words say by which", async () => {
    expect(await fate("graphql.request:kill:match=hello")).toMatchObject({
      ...{ code: null, signal: "SIGKILL" },
      last: { msg: "fault fired", point: "graphql.request", action: "kill", detail: "query Hello hello" },
    });
  });

  test("exits where a fault says so", async () => {
    expect(await fate("graphql.request:exit")).toMatchObject({
      ...{ code: 1, signal: null },
      last: { msg: "fault fired", point: "graphql.request", action: "exit" },
    });
  });
});
