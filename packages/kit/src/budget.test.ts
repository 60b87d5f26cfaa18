import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { statement } from "./database.ts";
import { defineService } from "./service.ts";
import { testService, until } from "./testing/service.ts";
import type { TestService } from "./testing/service.ts";
import { pollingWorker } from "./worker.ts";

const noted = event(
  { topic: "orders", name: "note-written", version: 1, key: "note", subject: "note" },
  Type.Object({ note: Type.String() }),
);
const schema = `
type Query { stored: Int! @access(roles: [PUBLIC]) }
type Mutation {
  "Holds a connection, in as many statements of the given length as are asked for, and emits an event."
  work(seconds: Float!, times: Int! = 1, note: String!): Int! @access(roles: [PUBLIC])
  "Has the worker do a round that takes longer than any budget here."
  nudge: Int! @access(roles: [PUBLIC])
}`;
const storedNumber = statement<{ number: number }>("storedNumber", "SELECT number FROM numbers");
const sleep = statement<unknown>("sleep", "SELECT pg_sleep($1)");

let folder: string;
let service: TestService;
/** What the worker's last round came to. */
let round: string | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "crowdcrunch-budget-"));
  await mkdir(join(folder, "migrations"));
  await writeFile(join(folder, "schema.graphql"), schema);
  await writeFile(
    join(folder, "migrations/001_numbers.sql"),
    `CREATE TABLE numbers AS SELECT 7 AS number; GRANT SELECT ON numbers TO :"role"`,
  );
  const definition = defineService({
    name: "orders",
    root: pathToFileURL(`${folder}/`),
    config: Type.Object({}),
    wire({ db, log }) {
      let wanted = false;
      const worker = pollingWorker({
        name: "slow",
        intervalMs: 60_000,
        log,
        async round() {
          if (!wanted) return;
          await new Promise((resolve) => setTimeout(resolve, 500));
          round = await db.one(storedNumber).then(
            (row) => `read ${row?.number}`,
            (error: Error) => error.message,
          );
        },
      });
      return {
        workers: [worker],
        resolvers: {
          Query: { stored: async () => (await db.one(storedNumber))?.number },
          Mutation: {
            work: (_: unknown, { seconds, times, note }: { seconds: number; times: number; note: string }) =>
              db.transaction(async (tx) => {
                tx.emit(noted.create({ note }, { sequence: 1 }));
                for (let time = 0; time < times; time++) await tx.run(sleep, [seconds]);
                return times;
              }),
            nudge() {
              wanted = true;
              worker.nudge();
              return 1;
            },
          },
        },
      };
    },
  });
  service = await testService(definition, { env: { DATABASE_CONNECTIONS: "2", DATABASE_QUEUE_MS: "200" } });
});
afterAll(async () => {
  await service?.stop();
  await rm(folder, { recursive: true });
});

const within = (budgetMs: number) => ({ headers: { "x-budget-ms": String(budgetMs) } });
const working = `mutation ($seconds: Float!, $times: Int!, $note: String!) { work(seconds: $seconds, times: $times, note: $note) }`;
const sleeping = async () =>
  (await service.admin.query("SELECT FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep($1)'"))
    .rowCount;
const publishedNotes = async () => (await service.emitted(noted)).map(({ data }) => data.note);

test("a request whose budget is spent is refused, with a code that says to try again", async () => {
  for (const spent of ["0", "-5", "soon"]) {
    const { status, errors } = await service.graph("{ stored }", {}, { headers: { "x-budget-ms": spent } });
    expect([status, errors?.[0]?.extensions]).toEqual([504, { code: "TIMEOUT", retryAfterMs: 1_000 }]);
  }
  expect((await service.graph("{ stored }", {}, within(5_000))).data).toEqual({ stored: 7 });
  expect((await service.graph("{ stored }")).data).toEqual({ stored: 7 });
});

test("a statement that outlasts the budget is ended by the database, and nothing of its transaction stays", async () => {
  const { errors } = await service.graph(working, { seconds: 20, times: 1, note: "too long" }, within(400));
  expect(errors?.[0]?.extensions).toEqual({ code: "UNAVAILABLE", retryAfterMs: 1_000 });
  expect(await sleeping()).toBe(0);
  expect(await publishedNotes()).not.toContain("too long");
});

test("short statements end with the budget too, between two of them", async () => {
  const { errors } = await service.graph(working, { seconds: 0.1, times: 100, note: "too many" }, within(500));
  expect(errors?.[0]?.extensions["code"]).toBe("TIMEOUT");
  expect(await sleeping()).toBe(0);
  expect(await publishedNotes()).not.toContain("too many");
});

test("what a request sets in motion is not bound by its budget", async () => {
  await service.graph(working, { seconds: 0, times: 1, note: "first" }, within(300));
  await service.graph("mutation { nudge }", {}, within(300));
  await until(() => round !== undefined, "the worker's round");
  expect(round).toBe("read 7");
  await service.graph(working, { seconds: 0, times: 1, note: "second" });
  expect(await publishedNotes()).toEqual(expect.arrayContaining(["first", "second"]));
});

test("while all connections are in use, requests are told soon to come back; liveness stays up", async () => {
  const holding = [1, 2].map((at) => service.graph(working, { seconds: 2, times: 1, note: `held ${at}` }));
  await until(async () => (await sleeping()) === 2, "two connections in use");
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.graph("{ stored }")));
  for (const { errors } of answers) {
    expect(errors?.[0]?.extensions).toEqual({ code: "UNAVAILABLE", retryAfterMs: 1_000 });
  }
  // They were refused while the two still work.
  expect(await sleeping()).toBe(2);
  expect((await fetch(`${service.healthUrl}/livez`)).status).toBe(200);
  for (const { errors } of await Promise.all(holding)) expect(errors).toBeUndefined();
  expect((await service.graph("{ stored }")).data).toEqual({ stored: 7 });
});
