import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { parse } from "graphql";
import { expect, test } from "vitest";
import { Client } from "pg";
import { readmeOperations } from "../readme-operations.ts";
import { until } from "./whole-shop.ts";
import type { WholeShop } from "./whole-shop.ts";

/** Runs a make target's program in this shop's place. Resolves to what it printed and its exit code. */
async function run(
  { shop }: WholeShop,
  program: string,
  variables: Record<string, string> = {},
): Promise<{ text: string; code: number }> {
  const { varDir, portOffset } = shop;
  const env = { ...process.env, CROWDCRUNCH_VAR: varDir, PORT_OFFSET: String(portOffset), ...variables };
  const done = promisify(execFile)(process.execPath, [join(repositoryRoot, "tools", program)], { env });
  return done.then(
    ({ stdout }) => ({ text: stdout, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => ({
      text: error.stdout + error.stderr,
      code: error.code,
    }),
  );
}

/** What the README shows, tried in a shop in which nobody has bought yet. Declares the tests. */
export function readmeTests(world: () => WholeShop): void {
  test("the README's ten operations do what it says, in their order", async () => {
    const { graph } = world();
    const operations = new Map(readmeOperations().map(({ name, document }) => [name, document]));
    const known: Record<string, unknown> = {};
    let token: string | undefined;
    const names: string[] = [];

    /** What a reader does: pastes the operation with what the ones before have answered. */
    function paste(name: string): Promise<any> {
      if (names.at(-1) !== name) names.push(name);
      const document = operations.get(name)!;
      const [operation] = parse(document).definitions;
      if (operation?.kind !== "OperationDefinition") throw new Error(`${name} is no operation`);
      const wanted = (operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value);
      const given = { ...known, key: randomUUID() } as Record<string, unknown>;
      return graph.ask(document, Object.fromEntries(wanted.map((variable) => [variable, given[variable]])), token);
    }

    token = (await paste("StartAsGuest")).startGuestSession.accessToken;
    const [teapot] = (await paste("FindTeapots")).products.nodes;
    expect(teapot.name).toBe("Enamel Teapot");
    known["skuId"] = teapot.skus[0].id;
    expect((await paste("PutIntoCart")).setCartLine.cart.lines).toMatchObject([{ quantity: 2 }]);
    const { cart } = await paste("PriceTheCart");
    const [line] = cart.quote.lines;
    Object.assign(known, {
      cartId: cart.id,
      priceVersion: line.priceVersion,
      totalMinor: cart.quote.total.amountMinor,
    });
    const { placeOrder } = await paste("PlaceOrder");
    expect(placeOrder).toMatchObject({ __typename: "OrderPlaced", order: { status: "PENDING" } });
    known["number"] = placeOrder.order.number;
    const order = await until("the parcel", async () => {
      const found = (await paste("FollowOrder")).order;
      return found.shipments?.[0] ? found : undefined;
    });
    expect(order).toMatchObject({ status: "CONFIRMED", payments: [{ status: "AUTHORIZED" }] });
    known["shipmentId"] = order.shipments[0].id;

    const { signUp } = await paste("SignUp");
    token = signUp.accessToken;
    expect(await run(world(), "admin.ts", { EMAIL: signUp.user.email })).toMatchObject({ code: 0 });
    const { signIn } = await paste("SignIn");
    expect(signIn.user.roles).toContain("ADMIN");
    token = signIn.accessToken;
    expect((await paste("DispatchParcel")).dispatchShipment.shipment.status).toBe("DISPATCHED");
    const desk = await until("the order that was sent and paid", async () => {
      const seen = await paste("StaffDesk");
      return seen.orders.nodes.find(({ amountPaid }: any) => amountPaid.amountMinor > 0) ? seen : undefined;
    });
    expect(desk.orders.nodes).toMatchObject([{ number: known["number"], customer: { email: "ada@example.com" } }]);
    expect(desk).toMatchObject({ shipments: { nodes: [] }, paymentsIncidents: { nodes: [] } });
    expect(desk.lowStock.nodes.length).toBeGreaterThan(0);

    expect(names).toEqual([...operations.keys()]);
  });

  test("make republish repeats what a service has; others know it already", async () => {
    const prices = () =>
      world()
        .books.query("SELECT * FROM orders.catalogue_skus ORDER BY sku_id")
        .then(({ rows }) => rows);
    const before = await prices();
    const { text, code } = await run(world(), "republish.ts", { SERVICE: "inventory" });
    expect({ code, events: Number(/(\d+) events/.exec(text)?.[1]) > 60 }).toEqual({ code: 0, events: true });
    await sleep(500);
    expect(await prices()).toEqual(before);
    expect(await run(world(), "republish.ts", { SERVICE: "orders" })).toMatchObject({
      code: 1,
      text: expect.stringContaining('"orders" publishes no current state. These do: inventory.'),
    });
  });

  test("make parked lists what could not be handled, and hands it to its service again", async () => {
    expect(await run(world(), "parked.ts")).toEqual({ code: 0, text: "Nothing is parked.\n" });
    const [id, key] = [randomUUID(), randomUUID()];
    await park(world(), id, key);

    const listed = await run(world(), "parked.ts", { SERVICE: "frontend" });
    expect(listed.code).toBe(0);
    expect(listed.text).toMatch(
      new RegExp(`frontend {2}key ${key}: 1 parked.*\\n.*${id} {2}inventory.product-changed.v99\\n.*from the future`),
    );

    expect(await run(world(), "parked.ts", { REPLAY: randomUUID() })).toMatchObject({
      code: 1,
      text: expect.stringContaining("is parked."),
    });
    // It is still from the future: it stays, and make says so.
    expect(await run(world(), "parked.ts", { REPLAY: key })).toMatchObject({
      code: 1,
      text: expect.stringContaining("frontend: 0 handled now, 1 still parked."),
    });
    expect(await run(world(), "parked.ts", { DISCARD: id })).toMatchObject({
      code: 1,
      text: expect.stringContaining("REASON"),
    });
    expect(await run(world(), "parked.ts", { DISCARD: id, REASON: "a test" })).toMatchObject({ code: 0 });
    expect(await run(world(), "parked.ts")).toEqual({ code: 0, text: "Nothing is parked.\n" });
  });
}

/** An event of a version that nobody knows yet, as the consumer parks it. */
async function park({ shop }: WholeShop, id: string, key: string): Promise<void> {
  const client = new Client({ connectionString: shop.databaseUrl("postgres") });
  await client.connect();
  const type = "inventory.product-changed.v99";
  const event = { id, type, key, subject: key, sequence: 1, time: new Date().toISOString(), data: { productId: key } };
  await client.query(
    "INSERT INTO frontend.parked (event_id, key, event, reason) VALUES ($1, $2, $3, 'an event from the future')",
    [id, key, event],
  );
  await client.query(
    "INSERT INTO frontend.incidents (id, kind, subject, detail) VALUES ($1, 'EVENT_PARKED', $2, 'an event from the future')",
    [randomUUID(), key],
  );
  await client.end();
}
