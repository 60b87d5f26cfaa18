import { buildSchema } from "graphql";
import { describe, expect, test } from "vitest";
import type { LiveField } from "./fields.ts";
import { createHeard } from "./heard.ts";
import { createOperations } from "./operation.ts";

const schema = buildSchema(`
  type Query { order(number: String!): Order skus(ids: [ID!]!): [Order] }
  type Subscription { orderUpdated(number: String!): Order changed(skuIds: [ID!]!): [Order] unknownHere: Order }
  type Order { id: ID! version: Int! status: String total: Order }`);
const fields: Record<string, LiveField> = {
  orderUpdated: {
    query: "order",
    events: [],
    keyOf: ({ key }) => key,
    listensTo: { field: "id" },
    version: "version",
  },
  changed: {
    query: "skus",
    renamed: { skuIds: "ids" },
    events: [],
    keyOf: ({ subject }) => subject,
    listensTo: { argument: "skuIds" },
  },
};
const read = createOperations(schema, fields);
const oneLine = (text: string | undefined) => text?.replace(/\s+/g, " ").trim();

describe("a subscription becomes the equivalent query", () => {
  test.each([
    [
      "with what finds its events and tells its version",
      `subscription { orderUpdated(number: "1") { status } }`,
      `{ orderUpdated: order(number: "1") { status _liveKey: id _liveVersion: version } }`,
    ],
    [
      "under its alias, with its name and variables",
      "subscription S($n: String!) { mine: orderUpdated(number: $n) { id } }",
      "query S($n: String!) { mine: order(number: $n) { id _liveKey: id _liveVersion: version } }",
    ],
    [
      "with renamed arguments and nothing added where an argument is the key",
      `subscription { changed(skuIds: ["a"]) { id } }`,
      `{ changed: skus(ids: ["a"]) { id } }`,
    ],
    [
      "with the fragments below the root, and without those at it",
      `subscription { ...root } fragment root on Subscription { ... on Subscription { orderUpdated(number: "1") { ...part } } }
       fragment part on Order { total { status } }`,
      `{ orderUpdated: order(number: "1") { ...part _liveKey: id _liveVersion: version } } fragment part on Order { total { status } }`,
    ],
  ])("%s", (_, subscription, query) => {
    expect(oneLine(read(subscription, undefined)?.query)).toBe(query);
  });

  test("of several operations the named one, with its own fragments alone", () => {
    const text = `query Q { order(number: "1") { ...q } } fragment q on Order { id }
      subscription S { orderUpdated(number: "1") { ...s } } fragment s on Order { status }`;
    expect(oneLine(read(text, "S")?.query)).toBe(
      `query S { orderUpdated: order(number: "1") { ...s _liveKey: id _liveVersion: version } } fragment s on Order { status }`,
    );
    expect(read(text, "Q")).toBeUndefined();
    expect(read(text, undefined)).toBeUndefined();
  });
});

test("what is no subscription is for others to answer", () => {
  for (const text of ["{ order(number: 1) { id } }", "mutation { x }", "subscription {", ""])
    expect(read(text, undefined)).toBeUndefined();
});

test("a field of the schema that is in no list cannot be listened to", () => {
  expect(() => read("subscription { unknownHere { id } }", undefined)).toThrow("cannot be listened to");
});

test("a fragment that contains itself ends as a mistake and not in a loop", () => {
  const text = `subscription { ...a } fragment a on Subscription { ...a }`;
  expect(() => read(text, undefined)).toThrow("itself");
});

test("keys are in the arguments, one or a list, of literals or variables", () => {
  const literal = read(`subscription { changed(skuIds: ["A", "b"]) { id } }`, undefined)!;
  expect(literal.keysIn({})).toEqual(["a", "b"]);
  const variable = read("subscription ($ids: [ID!]!) { changed(skuIds: $ids) { id } }", undefined)!;
  expect(variable.keysIn({ ids: "One" })).toEqual(["one"]);
  expect(() => variable.keysIn({})).toThrow("$ids");
});

test("what was heard of since a moment is known, and what is no longer known counts as heard of", () => {
  const heard = createHeard(2);
  heard.add("a");
  const moment = heard.now();
  expect([heard.since("a", moment), heard.since("b", moment)]).toEqual([false, false]);
  heard.add("b");
  expect([heard.since("a", moment), heard.since("b", moment)]).toEqual([false, true]);
  const later = heard.now();
  heard.add("c");
  heard.add("d");
  expect([heard.since("c", later), heard.since("x", later)]).toEqual([true, false]);
  heard.add("e");
  expect(heard.since("x", later)).toBe(true);
});
