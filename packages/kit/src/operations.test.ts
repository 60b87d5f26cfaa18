import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { event } from "@crowdcrunch/events/contract";
import Type from "typebox";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { onEvents } from "./consumer.ts";
import { defineService } from "./service.ts";
import { testService } from "./testing/service.ts";
import type { TestService } from "./testing/service.ts";

// A service that refuses the events of a topic, to see what staff can do about them.

const said = event(
  { topic: "payments", name: "payment-authorized", version: 1, key: "key", subject: "key" },
  Type.Object({ key: Type.String(), text: Type.String() }),
);
const schema = `
type Query {
  "Nothing."
  nothing: String @access(roles: [PUBLIC])
}
`;

let folder: string;
let service: TestService;
let staff: string;
const refused = "poison";
const handled: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "crowdcrunch-operations-"));
  await writeFile(join(folder, "schema.graphql"), schema);
  await mkdir(join(folder, "migrations"));
  const handler = onEvents([said], async (_, events) => {
    for (const { data } of events) {
      if (data.text === refused) throw new Error("this is poison");
      handled.push(`${data.key} ${data.text}`);
    }
  });
  const definition = defineService({
    name: "orders",
    root: pathToFileURL(`${folder}/`),
    config: Type.Object({}),
    wire: () => ({ resolvers: { Query: { nothing: () => null } }, handlers: [handler] }),
  });
  service = await testService(definition);
  staff = await service.signToken({ sub: "0190a5c0-0000-7000-8000-000000000001", roles: ["STAFF"] });
});
afterAll(async () => {
  await service.stop();
  await rm(folder, { recursive: true });
});

let sequence = 0;
async function say(key: string, ...texts: string[]) {
  const events = texts.map((text) => said.create({ key, text }, { sequence: ++sequence }));
  return service.deliver(...events);
}

async function ask(query: string, variables: Record<string, unknown> = {}, token: string | undefined = staff) {
  return service.graph(query, variables, { token });
}

const list = `query List($first: Int! = 50, $after: String, $key: String) { ordersParked(first: $first, after: $after, key: $key) {
  total nodes { id type key reason } keys { key events oldestAt } pageInfo { hasNextPage endCursor } } }`;
const show = `query Show($id: ID!) { ordersParkedEvent(id: $id) { id type key subject sequence time reason parkedAt payload } }`;
const discard = `mutation Discard($id: ID, $key: String, $reason: String!) {
  ordersDiscardParked(id: $id, key: $key, reason: $reason) { discarded remaining } }`;

describe("staff", () => {
  test("list what is parked by pages, with totals by key, and one key alone", async () => {
    await say("a", "poison", "second", "third");
    await say("b", "poison", "second");
    const first = (await ask(list, { first: 4 })).data.ordersParked;
    expect(first.total).toBe(5);
    expect(first.nodes.map(({ key, reason }: any) => [key, reason])).toEqual([
      ["a", "this is poison"],
      ["a", "an earlier event of this key is parked"],
      ["a", "an earlier event of this key is parked"],
      ["b", "this is poison"],
    ]);
    expect(first.keys).toMatchObject([
      { key: "a", events: 3 },
      { key: "b", events: 2 },
    ]);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const next = (await ask(list, { first: 4, after: first.pageInfo.endCursor })).data.ordersParked;
    expect(next.nodes.map(({ key }: any) => key)).toEqual(["b"]);
    expect(next.pageInfo.hasNextPage).toBe(false);
    const ofA = (await ask(list, { key: "a" })).data.ordersParked;
    expect([ofA.total, ofA.nodes.length, ofA.keys.length]).toEqual([3, 3, 1]);
    expect((await ask(list, { after: "-1" })).errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT" });
  });

  test("see one with its payload, shoppers do not", async () => {
    const [delivered] = await say("shown", "poison");
    const { data } = await ask(show, { id: delivered!.id });
    expect(data.ordersParkedEvent).toMatchObject({
      ...{ id: delivered!.id, type: said.type, key: "shown", subject: "shown", reason: "this is poison" },
      sequence: delivered!.sequence,
    });
    expect(JSON.parse(data.ordersParkedEvent.payload)).toEqual({ key: "shown", text: "poison" });
    const shopper = await service.signToken({ roles: ["SHOPPER"] });
    for (const [query, variables] of [
      [show, { id: delivered!.id }],
      [list, {}],
      [discard, { id: delivered!.id, reason: "x" }],
    ] as const) {
      expect((await ask(query, variables, shopper)).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    }
    expect((await ask(show, { id: "0190a5c0-0000-7000-8000-00000000dead" })).data.ordersParkedEvent).toBeNull();
  });

  test("discard one or a key with a reason, which the incident keeps; a replay handles the others", async () => {
    const [poison] = await say("discarded", "poison", "good");
    const reasonless = await ask(discard, { id: poison!.id, reason: " " });
    expect(reasonless.errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "reason" });
    for (const which of [{}, { id: poison!.id, key: "discarded" }]) {
      const { errors } = await ask(discard, { ...which, reason: "x" });
      expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "id" });
    }
    const gone = await ask(discard, { id: poison!.id, reason: "sent by mistake" });
    expect(gone.data.ordersDiscardParked.discarded).toBe(1);
    const replay = `mutation Replay($key: String) { ordersReplayParked(key: $key) { handled remaining } }`;
    expect((await ask(replay, { key: "discarded" })).data.ordersReplayParked.handled).toBe(1);
    expect(handled).toContain("discarded good");
    expect(handled).not.toContain("discarded poison");
    const { data } = await ask(
      `{ ordersIncidents(first: 100, resolvedToo: true) { nodes { subject resolution resolvedBy } } }`,
    );
    const incident = data.ordersIncidents.nodes.find(({ subject }: any) => subject === "discarded");
    expect(incident.resolution).toBe(
      `0190a5c0-0000-7000-8000-000000000001 discarded ${said.type} ${poison!.id}: sent by mistake; replayed`,
    );
    expect(incident.resolvedBy).toBe("0190a5c0-0000-7000-8000-000000000001");
    expect((await ask(discard, { key: "discarded", reason: "x" })).errors?.[0]?.extensions.code).toBe("NOT_FOUND");
    expect((await ask(discard, { key: "a", reason: "x" })).data.ordersDiscardParked.discarded).toBe(3);
  });
});
