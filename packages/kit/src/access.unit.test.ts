import { readFileSync } from "node:fs";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { execute, parse } from "graphql";
import { describe, expect, test } from "vitest";
import { accessRules, guardResolvers } from "./access.ts";
import type { ResolverMap } from "./access.ts";
import { invalid, notFound, problem } from "./errors.ts";
import type { Role, Viewer } from "./identity.ts";

const common = readFileSync(new URL("../common.graphql", import.meta.url), "utf8");

const sdl = `${common}
type Query {
  anybody: String @access(roles: [PUBLIC])
  shoppers: String @access(roles: [SHOPPER])
  nobody: String @access(roles: [])
  order(id: ID!): Order @access(roles: [PUBLIC], owner: "customerId")
  orders: [Order!] @access(roles: [SHOPPER], owner: "customerId")
}
type Mutation {
  buy: BuyResult @access(roles: [GUEST, SHOPPER])
  pay: Int @access(roles: [GUEST, SHOPPER])
}
union BuyResult = Bought | PriceChanged | InvalidInput
type Bought { id: ID! }
type PriceChanged implements Problem { message: String! priceMinor: Int! }
type Order @key(fields: "id") @access(roles: [SHOPPER, STAFF], owner: "customerId") {
  id: ID!
  number: String
  note: String @access(roles: [STAFF])
  margin: Int @access(roles: [STAFF])
}
type Sku @key(fields: "id", resolvable: false) { id: ID! }
`;

const orders: Record<string, { id: string; number: string; customerId?: string; note: string }> = {
  mine: { id: "mine", number: "M1", customerId: "me", note: "pays late" },
  yours: { id: "yours", number: "Y1", customerId: "you", note: "pays at once" },
  nameless: { id: "nameless", number: "N1", note: "" },
};

let bought: () => unknown = () => ({ __typename: "Bought", id: "1" });
const calls: string[] = [];
const resolvers: ResolverMap = {
  Query: {
    anybody: () => "anybody",
    shoppers: () => (calls.push("shoppers"), "shoppers"),
    nobody: () => "nobody",
    order: (_: unknown, { id }: { id: string }) => orders[id],
    orders: () => Object.values(orders),
  },
  Mutation: { buy: () => bought(), pay: () => bought() },
  Order: {
    __resolveReference: ({ id }: { id: string }) => orders[id],
    margin: () => (calls.push("margin"), 5),
  },
};
const document = parse(sdl);
const schema = buildSubgraphSchema([{ typeDefs: document, resolvers: guardResolvers(document, resolvers) }]);

function viewer(roles: Role[], more: Partial<Viewer> = {}): Viewer {
  return { sub: "me", roles, sid: "s", iat: 0, exp: 600, ...more };
}

async function ask(query: string, as: Viewer | null): Promise<{ data: any; errors: string[] }> {
  const { data, errors } = await execute({ schema, document: parse(query), contextValue: { viewer: as } });
  return { data: JSON.parse(JSON.stringify(data)), errors: (errors ?? []).map(({ message }) => message) };
}

const needsToken = "A valid access token is needed.";
const mayNot = "You may not do this.";

describe("a schema that says too little is not served", () => {
  test.each([
    ["a query", "type Query { open: Int }", "Query.open"],
    ["an extending query", "extend type Query { open: Int }", "Query.open"],
    ["a mutation", "type Mutation { open: Int }", "Mutation.open"],
    ["a subscription", "type Subscription { open: Int }", "Subscription.open"],
    ["an entity", 'type Cart @key(fields: "id") { id: ID! }', "Cart"],
    [
      "an entity of which one key is resolved",
      'type Cart @key(fields: "id") @key(fields: "x", resolvable: false) { id: ID! }',
      "Cart",
    ],
  ])("%s without @access", (_, text, name) => {
    expect(() => guardResolvers(parse(text), { Query: { open: () => 1 } })).toThrow(`nobody may use them: ${name}`);
  });

  test("all that is missing is named at once", () => {
    const text = 'type Query { a: Int b: Int @access(roles: []) } type Cart @key(fields: "id") { id: ID! }';
    expect(() => accessRules(parse(text))).toThrow("Query.a, Cart");
  });

  test("a root field without a resolver", () => {
    const text = parse("type Query { a: Int @access(roles: [PUBLIC]) }");
    expect(() => guardResolvers(text, {})).toThrow("Query.a has no resolver");
  });

  test("a subscription needs none, and is the gateway's: asked of a subgraph it is refused", () => {
    const text = parse("type Subscription { changed: Int @access(roles: [PUBLIC]) }");
    expect(guardResolvers(text, {})["Subscription"].changed).toThrow("gateway");
  });

  test("rules tell type, field, roles and owner; a stub needs none", () => {
    const rules = accessRules(document);
    expect(rules).toContainEqual({ type: "Order", field: undefined, roles: ["SHOPPER", "STAFF"], owner: "customerId" });
    expect(rules).toContainEqual({ type: "Order", field: "note", roles: ["STAFF"], owner: undefined });
    expect(rules.filter(({ type }) => type === "Sku")).toEqual([]);
  });
});

describe("roles", () => {
  test.each([
    ["anybody", null, "anybody", undefined],
    ["anybody", viewer([]), "anybody", undefined],
    ["shoppers", null, null, needsToken],
    ["shoppers", viewer(["GUEST"]), null, mayNot],
    // No role includes another.
    ["shoppers", viewer(["ADMIN"]), null, mayNot],
    ["shoppers", viewer(["STAFF", "SHOPPER"]), "shoppers", undefined],
    ["nobody", viewer(["ADMIN", "STAFF", "SHOPPER", "GUEST"]), null, mayNot],
  ])("%s asked by %j gives %j", async (field, as, value, error) => {
    calls.length = 0;
    const { data, errors } = await ask(`{ ${field} }`, as);
    expect(data[field]).toBe(value);
    expect(errors).toEqual(error === undefined ? [] : [error]);
    // Refused before anything runs.
    if (error) expect(calls).toEqual([]);
  });

  test("of a field, with a resolver of its own or none, cost that field alone", async () => {
    calls.length = 0;
    const query = '{ order(id: "mine") { number note margin } }';
    const mine = await ask(query, viewer(["SHOPPER"]));
    expect(mine).toEqual({ data: { order: { number: "M1", note: null, margin: null } }, errors: [mayNot, mayNot] });
    expect(calls).toEqual([]);
    const staff = await ask(query, viewer(["STAFF"], { sub: "staff" }));
    expect(staff).toEqual({ data: { order: { number: "M1", note: "pays late", margin: 5 } }, errors: [] });
  });
});

describe("the owner", () => {
  const shopper = viewer(["SHOPPER"]);
  test.each<[string, string, Viewer | null, string | null]>([
    ["sees what is his", "mine", shopper, "M1"],
    ["sees nothing of another's", "yours", shopper, null],
    ["sees nothing that does not say whose it is", "nameless", shopper, null],
    ["is nobody without a token", "mine", null, null],
    ["is nobody without a token, of what is nobody's", "nameless", null, null],
    ["is overruled by staff", "yours", viewer(["STAFF"], { sub: "staff" }), "Y1"],
    ["is overruled by an administrator", "nameless", viewer(["ADMIN"], { sub: "staff" }), "N1"],
    ["with a link sees its order", "mine", viewer(["SHOPPER"], { orderScope: "mine" }), "M1"],
    ["with a link sees no other order", "mine", viewer(["SHOPPER"], { orderScope: "other" }), null],
  ])("%s, and the others see what they see of nothing", async (_, id, as, number) => {
    const nothing = await ask('{ order(id: "none") { number } }', as);
    const answer = await ask(`{ order(id: "${id}") { number } }`, as);
    if (number === null) expect(answer).toEqual(nothing);
    else expect(answer).toEqual({ data: { order: { number } }, errors: [] });
  });

  test("of a list is not its elements' owner: it is hidden whole", async () => {
    expect((await ask("{ orders { number } }", shopper)).data).toEqual({ orders: null });
  });

  test.each([
    [viewer(["SHOPPER"]), ["M1", null, null], []],
    [viewer(["STAFF"], { sub: "staff" }), ["M1", "Y1", null], []],
    [viewer(["GUEST"]), [null, null, null], [mayNot, mayNot, mayNot]],
    [null, [null, null, null], [needsToken, needsToken, needsToken]],
  ])("holds for references from other subgraphs, asked by %j", async (as, numbers, refused) => {
    const of = (id: string) => `{ __typename: "Order", id: "${id}" }`;
    const query = `{ _entities(representations: [${["mine", "yours", "none"].map(of)}]) { ... on Order { number } } }`;
    const { data, errors } = await ask(query, as);
    expect(data._entities.map((order: { number: string } | null) => order?.number ?? null)).toEqual(numbers);
    expect(errors).toEqual(refused);
  });
});

describe("a problem", () => {
  const query = `mutation { buy { __typename ... on Bought { id } ... on PriceChanged { message priceMinor }
    ... on InvalidInput { message field } } }`;
  const guest = viewer(["GUEST"]);

  test.each([
    [() => ({ __typename: "Bought", id: "1" }), { __typename: "Bought", id: "1" }],
    [
      () => Promise.reject(problem("PriceChanged", "Dearer.", { priceMinor: 5 })),
      { __typename: "PriceChanged", message: "Dearer.", priceMinor: 5 },
    ],
    [
      () => {
        throw invalid("lines", "None.");
      },
      { __typename: "InvalidInput", message: "None.", field: "lines" },
    ],
  ])("that the union knows becomes its member", async (outcome, buy) => {
    bought = outcome;
    expect(await ask(query, guest)).toEqual({ data: { buy }, errors: [] });
  });

  test("that it does not know is an error, and so is any where there is no union, and what is no problem", async () => {
    bought = () => Promise.reject(notFound("No such thing."));
    expect(await ask(query, guest)).toEqual({ data: { buy: null }, errors: ["No such thing."] });
    bought = () => Promise.reject(problem("PriceChanged", "Dearer."));
    expect(await ask("mutation { pay }", guest)).toEqual({ data: { pay: null }, errors: ["Dearer."] });
    bought = () => Promise.reject(new Error("PriceChanged"));
    expect(await ask(query, guest)).toEqual({ data: { buy: null }, errors: ["PriceChanged"] });
  });
});
