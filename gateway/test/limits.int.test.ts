import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { getIntrospectionQuery } from "graphql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { limits } from "../src/limits.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, call, codeOf, gatewayOf } from "./world.ts";

let shop: SmallShop;
let database: TestDatabase;
let gateway: RunningGateway;

beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
  gateway = await gatewayOf(shop, database);
});

afterAll(async () => {
  await gateway?.stop();
  await shop?.stop();
  await database?.drop();
});

const place = "placeOrder(input: { quantity: 1 }) { __typename }";
const nested = (depth: number, inner = "id"): string => `${"friend { ".repeat(depth)}${inner}${" }".repeat(depth)}`;
const many = (count: number, of: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => of(at)).join(" ");

describe("asks for too much", () => {
  test.each<[string, string, Record<string, unknown>?]>([
    ["two mutations", `mutation { signIn ${place} }`],
    ["one mutation twice by alias (Saleor CVE-2026-35401)", `mutation { a: ${place} b: ${place} }`],
    [
      "two mutations through a fragment",
      `mutation { ...f ...g } fragment f on Mutation { a: ${place} } fragment g on Mutation { b: ${place} }`,
    ],
    ["depth", `{ me { ${nested(limits.depth)} } }`],
    [
      "depth through fragments, each shallow, the deep one used first in a shallow place (graphql-armor GHSA-224p)",
      `query { shallow: me { ...last } me { ${nested(limits.depth - 6, "...middle")} } }
       fragment middle on User { ${nested(4, "...last")} } fragment last on User { ${nested(3)} }`,
    ],
    [
      "depth in an operation that is not the one to run",
      `query A { me { id } } query B { me { ${nested(limits.depth)} } }`,
    ],
    [
      "inline fragments in one another",
      `{ ${"... { ".repeat(limits.nesting + 1)} me { id } ${"}".repeat(limits.nesting + 1)} }`,
    ],
    ["aliases", `{ ${many(limits.aliases + 1, (at) => `a${at}: me { id }`)} }`],
    [
      "aliases through fragments",
      `{ ${many(11, (at) => `a${at}: me { ...f }`)} } fragment f on User { ${many(5, (at) => `b${at}: id`)} }`,
    ],
    ["fields", `{ ${many(limits.fields + 1, () => "__typename")} }`],
    [
      "fragments that double one another",
      `{ me { ...f0 } } ${many(30, (at) => `fragment f${at} on User { friend { ...f${at + 1} } x: friend { ...f${at + 1} } }`)} fragment f30 on User { id }`,
    ],
    [
      "fragments that double one another without fields",
      `{ me { ...f0 } } ${many(30, (at) => `fragment f${at} on User { ...f${at + 1} ...f${at + 1} }`)} fragment f30 on User { id }`,
    ],
    ["the same fields again and again, slow to validate", `{ ${many(300, () => "me { id }")} }`],
    ["fragments", `{ me { id } } ${many(limits.fragments + 1, (at) => `fragment f${at} on User { id }`)}`],
    ["tokens", `{ ${many(limits.tokens, (at) => `a${at}`)} }`],
    [
      "pages of pages",
      "{ me { orders(first: 100) { nodes { lines { sku { id } } } } friend { orders(first: 100) { nodes { id } } } } " +
        many(
          40,
          (at) =>
            `o${at}: orders(first: 100) { nodes { id number total { amountMinor currency } lines { name quantity sku { code price { amountMinor currency } } } } }`,
        ) +
        " }",
    ],
    [
      "pages by a variable",
      `query ($n: Int!) { ${many(40, (at) => `o${at}: orders(first: $n) { nodes { id number total { amountMinor currency } lines { name quantity sku { code price { amountMinor currency } } } } }`)} }`,
      { n: 100 },
    ],
  ])("%s", async (_, query, variables) => {
    const answer = await ask(gateway, query, variables ? { variables } : {});
    expect([answer.status, answer.text]).toEqual([
      400,
      `{"errors":[{"message":"The query asks for too much.","extensions":{"code":"QUERY_TOO_LARGE"}}]}`,
    ]);
    expect(shop.placed()).toBe(0);
  });

  test("a body over 256 kB", async () => {
    const answer = await ask(gateway, "{ me { id } }", { variables: { text: "x".repeat(256 * 1024) } });
    expect([answer.status, codeOf(answer)]).toEqual([413, "QUERY_TOO_LARGE"]);
  });

  test("a body over 256 kB of a client that sends all of it before it reads the answer", async () => {
    const { hostname, port } = new URL(gateway.url);
    const half = "x".repeat(200 * 1024);
    const head = `POST /graphql HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: application/json\r\ncontent-length: ${2 * half.length}\r\n\r\n`;
    const socket = connect(Number(port), hostname);
    socket.pause();
    socket.write(head + half);
    // Long enough for a server that does not wait to answer and to close.
    await sleep(300);
    socket.write(half);
    await sleep(100);
    expect(await readText(socket)).toMatch(/^HTTP\/1.1 413 [^]*QUERY_TOO_LARGE/);
  });
});

describe("asks for enough", () => {
  test.each<[string, string, Record<string, unknown>?]>([
    ["the whole schema", getIntrospectionQuery()],
    ["depth up to the limit", `{ me { ${nested(limits.depth - 2)} } }`],
    ["aliases up to the limit", `{ ${many(limits.aliases, (at) => `a${at}: __typename`)} }`],
    ["one fragment in two places", "{ me { ...f friend { ...f } } } fragment f on User { id email }"],
    [
      "small pages by a variable",
      `query ($n: Int!) { ${many(40, (at) => `o${at}: orders(first: $n) { nodes { id number lines { sku { code } } } }`)} }`,
      { n: 2 },
    ],
  ])("%s", async (_, query, variables) => {
    const answer = await ask(gateway, query, variables ? { variables } : {});
    expect([answer.status, answer.errors]).toEqual([200, undefined]);
  });

  test("a query that was let in with small pages is refused with large ones, and the other way round", async () => {
    const query = `query ($n: Int = 100) { ${many(45, (at) => `p${at}: orders(first: $n) { nodes { id number total { amountMinor currency } lines { name quantity sku { code price { amountMinor currency } } } } }`)} }`;
    const codes: unknown[] = [];
    for (const variables of [{ n: 1 }, { n: 100 }, {}, { n: 1 }])
      codes.push(codeOf(await ask(gateway, query, { variables })));
    expect(codes).toEqual([undefined, "QUERY_TOO_LARGE", "QUERY_TOO_LARGE", undefined]);
  });
});

describe("is not a request of ours", () => {
  const post = (body: string, headers: Record<string, string> = { "content-type": "application/json" }) =>
    call(gateway, "/graphql", { method: "POST", headers, body });
  const refused = (answer: { status: number; data: unknown }) => {
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.data).toBeUndefined();
    expect(shop.placed()).toBe(0);
  };

  test("an array of operations (Saleor CVE-2026-33756)", async () => {
    const one = { query: `mutation { ${place} }` };
    refused(await post(JSON.stringify([one, one])));
    refused(await post(JSON.stringify([one])));
  });

  test("a mutation by GET, and any GET that another site's page could send (GHSA-9q82)", async () => {
    const path = (query: string) => `/graphql?query=${encodeURIComponent(query)}`;
    const asked = { "apollo-require-preflight": "1" };
    const mutation = await call(gateway, path(`mutation { ${place} }`), { headers: asked });
    refused(mutation);
    expect(mutation.status).toBe(405);
    refused(await call(gateway, path(`mutation { ${place} }`), {}));
    refused(await call(gateway, path("{ me { id } }"), {}));
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
      refused(await call(gateway, path("{ me { id } }"), { headers: { "content-type": type } }));
      refused(await post(JSON.stringify({ query: `mutation { ${place} }` }), { "content-type": type }));
    }
    refused(
      await post(JSON.stringify({ query: `mutation { ${place} }` }), {
        "content-type": "text/plain; application/json",
      }),
    );
    const query = await call(gateway, path("{ me { id } }"), { headers: asked });
    expect(query.data).toEqual({ me: { id: "u1" } });
    refused(await call(gateway, path(`{ me { ${nested(limits.depth)} } }`), { headers: asked }));
  });

  test("a body that is no JSON, or no object", async () => {
    for (const body of ["{", "null", "1", `"{ me { id } }"`, "", `{"query":1}`, `{"query":{"kind":"Document"}}`])
      refused(await post(body));
  });

  test("names that reach for the prototype (Apollo GHSA-pfjj)", async () => {
    const clean = (): void => {
      for (const name of ["polluted", "id", "email", "nodes", "number", "quantity"]) expect(name in {}).toBe(false);
    };
    const queries = [
      `{ __proto__: me { polluted: id email } }`,
      `{ me { __proto__: friend { polluted: id } id } }`,
      `{ constructor: me { prototype: friend { polluted: id } } }`,
      `{ orders(first: 1) { __proto__: nodes { number lines { constructor: sku { prototype: price { polluted: currency } } } } } }`,
      `query ($__proto__: String) { whatUsersGot(header: "x") me { id } toString: __typename }`,
    ];
    const first = await ask(gateway, queries[0]!);
    expect(first.text).toBe(`{"data":{"__proto__":{"polluted":"u1","email":"ada@example.org"}}}\n`);
    for (const query of queries) {
      const answer = await ask(gateway, query);
      expect(answer.status).toBeLessThan(500);
      clean();
    }
    for (const variables of [
      `{"__proto__":{"polluted":1}}`,
      `{"input":{"constructor":{"prototype":{"polluted":1}}}}`,
    ]) {
      refused(await post(`{"query":"{ me { id } }","variables":${variables}}`));
      clean();
    }
    expect((await ask(gateway, "{ me { id } }")).data).toEqual({ me: { id: "u1" } });
  });
});
