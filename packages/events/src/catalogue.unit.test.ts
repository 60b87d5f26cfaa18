import { describe, expect, test } from "vitest";
import { allEvents, notYetDue } from "./catalogue.ts";
import { onOrder } from "./contract.ts";
import { orderConfirmed, orderPlaced } from "./orders.ts";

/** The names of all properties of a schema, however deep. */
function propertiesIn(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { properties = {}, items } = schema as { properties?: Record<string, unknown>; items?: unknown };
  const nested = Object.entries(properties).flatMap(([name, inner]) => [name, ...propertiesIn(inner)]);
  return [...nested, ...propertiesIn(items)];
}

const carrying = (property: string) =>
  allEvents
    .filter(({ schema }) => propertiesIn(schema).includes(property))
    .map(({ topic, name }) => `${topic}.${name}`);

describe("every event", () => {
  test("is declared once, and is not also planned", () => {
    const names = allEvents.map(({ topic, name, version }) => `${topic}.${name}.v${version}`);
    expect(new Set(names).size).toBe(names.length);
    const planned = new Set(notYetDue.map(({ name }) => name));
    expect(allEvents.filter(({ name }) => planned.has(name))).toEqual([]);
  });

  test.each(allEvents.map((contract) => [contract.type, contract] as const))("%s always has its key", (_, contract) => {
    expect(contract.schema.required).toContain(contract.keyProperty);
    expect(contract.name).toMatch(/^[a-z]+(-[a-z]+)+$/);
  });

  test("on an order's key tells the order, its owner and the version", () => {
    const onOrders = allEvents.filter(({ keyProperty }) => keyProperty === "orderId");
    expect(onOrders.length).toBeGreaterThan(30);
    const incomplete = onOrders.filter(({ schema }) =>
      Object.keys(onOrder).some((field) => !schema.required?.includes(field)),
    );
    expect(incomplete.map(({ type }) => type)).toEqual([]);
  });
});

describe("personal data travels only to who needs it:", () => {
  test("the address to ship to in order-confirmed", () => {
    expect(carrying("shipTo")).toEqual(["orders.order-confirmed"]);
    expect(carrying("line1")).toEqual(["orders.order-confirmed"]);
  });

  test("the e-mail address in what becomes a profile or a mail", () => {
    expect(carrying("email")).toEqual([
      "users.user-registered",
      "users.password-reset-requested",
      "users.email-verification-requested",
      "orders.order-confirmed",
      "orders.order-rejected",
      "orders.order-cancelled",
      "orders.order-shipped",
      "orders.order-refunded",
    ]);
  });
});

test("the largest order, 1,000 lines with the longest names, fits into an event", () => {
  const uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
  const most = Number.MAX_SAFE_INTEGER;
  const line = { lineId: uuid, skuId: uuid, name: "n".repeat(200), quantity: 100_000, digital: false, unitMinor: most };
  const lines = Array.from({ length: 1000 }, () => ({ ...line, productId: uuid, paidMinor: most }));
  const order = {
    orderId: uuid,
    customerId: uuid,
    version: 1,
    number: "0123-4567",
    kind: "SALE",
    lines,
    currency: "GBP",
  } as const;
  const totals = { itemsMinor: most, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: most };
  const placed = orderPlaced.create({ ...order, totals }, { sequence: 1 });
  const confirmed = orderConfirmed.create({ ...order, totals, shippingMethod: "STANDARD" }, { sequence: 4 });
  for (const { data } of [placed, confirmed]) expect(Buffer.byteLength(JSON.stringify(data))).toBeLessThan(512 * 1024);
});
