import { randomUUID } from "node:crypto";
import { accessRules } from "@crowdcrunch/kit/access";
import { readSubgraph, subgraphNames } from "@crowdcrunch/tools/schemas";
import { Kind, parse } from "graphql";
import type { FieldDefinitionNode } from "graphql";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generateArguments, leastSelection, namedType } from "./arguments.ts";
import type { KnownValues } from "./arguments.ts";
import { openServices } from "./open-services.ts";
import type { OpenServices } from "./open-services.ts";
import { buyForOwner } from "./owners-world.ts";
import type { OwnersThings } from "./owners-world.ts";

/** Mutations that need no key, because doing them again changes neither money nor stock. All others take one. */
const withoutKey: Record<string, string> = {
  saveAddress: "sets what stands there",
  removeAddress: "sets what stands there",
  setConsent: "sets what stands there",
  exportMyData: "reads",
  eraseMe: "erased is erased",
  importCustomers: "known by their e-mail address",
  setCartLine: "sets the quantity",
  setCartDetails: "sets what stands there",
  saveProduct: "known by its slug and codes; moves no stock",
  publishProduct: "sets what stands there",
  setPrice: "sets what stands there",
  importProducts: "opening stock is for codes that are not known yet",
  createCoupon: "known by its code",
  startGuestSession: "moves neither money nor stock",
  signUp: "known by the e-mail address",
  signIn: "moves neither money nor stock",
  refreshSession: "answers the same successor",
  signOut: "ended is ended",
  openOrderLink: "moves neither money nor stock",
  requestPasswordReset: "moves neither money nor stock",
  resetPassword: "its token is used up",
  requestEmailVerification: "moves neither money nor stock",
  verifyEmail: "verified is verified",
  setRoles: "sets what stands there",
};

const mutations = subgraphNames().flatMap((service) => {
  const document = parse(readSubgraph(service));
  const rules = accessRules(document);
  return document.definitions.flatMap((node) => {
    const isMutation =
      (node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION) &&
      node.name.value === "Mutation";
    return (isMutation ? (node.fields ?? []) : []).map((field: FieldDefinitionNode) => {
      const name = field.name.value;
      const input = field.arguments?.find((argument) => argument.name.value === "input");
      const inputType = input && namedType(input.type);
      const definition = document.definitions.find(
        (other) => other.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION && other.name.value === inputType,
      );
      const key =
        definition?.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION
          ? definition.fields?.find((candidate) => candidate.name.value === "idempotencyKey")
          : undefined;
      const roles = rules.find((rule) => rule.type === "Mutation" && rule.field === name)?.roles ?? [];
      return { service, name, document, field, inputType, key, roles };
    });
  });
});
/** Those that every service has, of its own messages. */
const isOfOperations = ({ service, name }: (typeof mutations)[number]) => name.startsWith(service);
const keyed = mutations.filter(({ key }) => key !== undefined);

let services: OpenServices;
let things: OwnersThings;
let admin: Client;

beforeAll(async () => {
  services = await openServices(subgraphNames());
  things = await buyForOwner(services);
  admin = new Client({ connectionString: services.database.adminUrl });
  await admin.connect();
  await quiet();
});
afterAll(async () => {
  await admin?.end();
  await services?.stop();
});

test("every mutation takes a key, or it is known why it needs none", () => {
  const unexplained = mutations.filter((one) => !one.key && !isOfOperations(one)).map(({ name }) => name);
  expect(unexplained.toSorted()).toEqual(Object.keys(withoutKey).toSorted());
  for (const { name, key } of keyed) {
    expect([name, key!.type.kind]).toEqual([name, Kind.NON_NULL_TYPE]);
  }
  expect(keyed.length).toBeGreaterThanOrEqual(14);
});

describe("a key that was used for something else is refused, without effect, by", () => {
  test.each(keyed.map((one) => [one.name, one] as const))(
    "%s",
    async (name, { service, document, field, inputType, roles }) => {
      const isShoppers = roles.includes("SHOPPER");
      const sub = isShoppers ? things.ownerId : randomUUID();
      const token = await services.token({ sub, roles: [isShoppers ? "SHOPPER" : "STAFF"] });
      const key = randomUUID();
      await admin.query(
        `INSERT INTO ${service}.idempotency (principal, operation, key, request_hash, result) VALUES ($1, $2, $3, 'another', '{}')`,
        [sub, name, key],
      );
      const eventsBefore = await emitted();
      const known = { ...things.neutral, ...things.values, ...staffValues(), [`${inputType}.idempotencyKey`]: key };
      const { text } = generateArguments(document, "Mutation", field, known);
      const answer = await services.ask(
        service,
        `mutation { ${name}${text} ${leastSelection(document, field)} }`,
        token,
      );
      expect([name, answer.data?.[name]?.__typename ?? answer.errors?.[0]?.extensions.code]).toEqual([
        name,
        "KeyReused",
      ]);
      expect(await emitted()).toBe(eventsBefore);
    },
  );
});

test("a repeat with the same key is answered as the first time, without effect", async () => {
  const repeatable = things.acts.filter(({ mutation }) => keyed.some(({ name }) => name === mutation));
  expect(repeatable.map(({ mutation }) => mutation)).toEqual(
    expect.arrayContaining(["placeOrder", "refundOrder", "dispatchShipment", "requestReturn", "requestExchange"]),
  );
  for (const { service, mutation, query, input, token, result } of repeatable) {
    const eventsBefore = await emitted();
    const answer = await services.ask(service, query, token, { input });
    expect([mutation, answer.data?.[mutation]]).toEqual([mutation, result]);
    expect([mutation, await emitted()]).toEqual([mutation, eventsBefore]);
  }
});

/** The owner's things as only staff name them. */
function staffValues(): KnownValues {
  const orderNumber = things.values["PayOrderInput.number"];
  const shipmentId = things.values["Query.shipment(id:)"];
  const returnNumber = things.acts.find(({ mutation }) => mutation === "approveReturn")?.input["number"];
  return {
    "RefundOrderInput.number": orderNumber,
    "ShipmentInput.shipmentId": shipmentId,
    "DispatchShipmentInput.shipmentId": shipmentId,
    ...Object.fromEntries(
      ["Approve", "Reject", "Receive", "Inspect"].map((verb) => [`${verb}ReturnInput.number`, returnNumber]),
    ),
  };
}

/** How many events all services have emitted. */
async function emitted(): Promise<number> {
  const counts = await Promise.all(
    subgraphNames().map(async (service) => {
      const { rows } = await admin.query<{ count: number }>(
        `SELECT last_value::int AS count FROM ${service}.outbox_id_seq`,
      );
      return rows[0]!.count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Resolves when nothing has been emitted for a second. */
async function quiet(): Promise<void> {
  for (let before = -1, now = await emitted(); now !== before; now = await emitted()) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}
