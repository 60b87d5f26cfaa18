import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";

const me = "query Me { me { id } }";
const sku = "query Sku($id: ID!) { sku(id: $id) { code } }";
const place = "mutation Place { placeOrder(input: { quantity: 1 }) { ... on Order { number } } }";
const idOf = (document: string): string => createHash("sha256").update(document).digest("hex");
const manifestOf = (operations: { id: string; body: string }[]): string =>
  JSON.stringify({ format: "apollo-persisted-query-manifest", version: 1, operations });

let shop: SmallShop;
let database: TestDatabase;
let gateway: RunningGateway;
let folder: string;

beforeAll(async () => {
  [shop, database, folder] = await Promise.all([
    startSmallShop(),
    createDatabase(),
    mkdtemp(join(tmpdir(), "crowdcrunch-operations-")),
  ]);
  const file = join(folder, "operations.json");
  await writeFile(file, manifestOf([me, sku, place].map((body) => ({ id: idOf(body), body }))));
  gateway = await gatewayOf(shop, database, { OPERATIONS_FILE: file });
});
afterAll(async () => {
  await gateway?.stop();
  await shop?.stop();
  await database?.drop();
  await rm(folder, { recursive: true });
});

const post = (body: object) =>
  call(gateway, "/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
const hashed = (document: string) => ({ persistedQuery: { version: 1, sha256Hash: idOf(document) } });

test("a listed operation is run by its id, in Apollo's way and by documentId, with variables, also by GET", async () => {
  expect((await post({ extensions: hashed(me) })).data).toEqual({ me: { id: "u1" } });
  expect((await post({ extensions: hashed(sku), variables: { id: "a" } })).data).toEqual({ sku: { code: "A" } });
  expect((await post({ documentId: idOf(me), operationName: "Me" })).data).toEqual({ me: { id: "u1" } });
  expect((await post({ documentId: `sha256:${idOf(sku)}`, variables: { id: "b" } })).data.sku.code).toBe("B");
  expect((await post({ documentId: idOf(place) })).data.placeOrder.number).toMatch(/^N/);
  const search = new URLSearchParams({
    extensions: JSON.stringify(hashed(sku)),
    variables: JSON.stringify({ id: "c" }),
  });
  const headers = { "apollo-require-preflight": "1" };
  expect((await call(gateway, `/graphql?${search}`, { headers })).data).toEqual({ sku: { code: "C" } });
});

test("an id that is not listed is refused, with the document beside it too", async () => {
  const free = "query Free { me { email } }";
  for (const body of [
    { extensions: hashed(free) },
    { documentId: idOf(free) },
    { query: free, extensions: hashed(free) },
  ]) {
    const answer = await post(body);
    expect([answer.status, codeOf(answer), answer.data]).toEqual([400, "PERSISTED_QUERY_NOT_IN_LIST", undefined]);
  }
  for (const id of ["constructor", "__proto__", idOf(me).toUpperCase()]) {
    expect(codeOf(await post({ documentId: id }))).toBe("PERSISTED_QUERY_NOT_IN_LIST");
  }
});

test("documents are refused, listed or not, and with the id of another one it is that one that runs", async () => {
  for (const query of [me, "{ me { email } }", "{ __schema { queryType { name } } }"]) {
    const answer = await ask(gateway, query);
    expect([answer.status, codeOf(answer), answer.data]).toEqual([400, "PERSISTED_QUERY_ID_REQUIRED", undefined]);
  }
  for (const id of [1, null, {}, ""])
    expect(codeOf(await post({ documentId: id }))).toBe("PERSISTED_QUERY_ID_REQUIRED");
  expect((await post({ query: "{ me { email } }", extensions: hashed(me) })).data).toEqual({ me: { id: "u1" } });
});

test("a mutation is no more let in by GET than it was, and no array", async () => {
  const headers = { "apollo-require-preflight": "1" };
  const search = new URLSearchParams({ documentId: idOf(place) });
  expect((await call(gateway, `/graphql?${search}`, { headers })).status).toBe(405);
  const array = await call(gateway, "/graphql", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ documentId: idOf(place) }]),
  });
  expect([array.status, array.data]).toEqual([400, undefined]);
});

test.each([
  ["missing", undefined, "cannot be read"],
  ["half written", '{ "format": "apollo', "cannot be read"],
  ["of another format", '{ "operations": [] }', "is no apollo-persisted-query-manifest"],
  ["with a document under another's id", manifestOf([{ id: idOf(me), body: place }]), "is not the SHA-256 of"],
])("a list that is %s keeps the gateway from starting, and says so", async (name, content, problem) => {
  const file = join(folder, `${name}.json`);
  if (content !== undefined) await writeFile(file, content);
  await expect(gatewayOf(shop, database, { OPERATIONS_FILE: file })).rejects.toThrow(problem);
});
