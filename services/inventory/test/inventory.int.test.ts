import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { returnInspected } from "@crowdcrunch/events/exchanges";
import {
  availabilityChanged,
  productChanged,
  stockRejected,
  stockReleased,
  stockReserved,
} from "@crowdcrunch/events/inventory";
import { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import { testService, until } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inventory } from "../src/service.ts";

let service: TestService;
let staff: string;
let shopper: string;

beforeAll(async () => {
  service = await testService(inventory, { env: { STARTER_CATALOGUE: "true" } });
  staff = await service.signToken({ sub: randomUUID(), roles: ["STAFF"] });
  shopper = await service.signToken({ sub: randomUUID(), roles: ["SHOPPER"] });
  await until(async () => (await service.admin.query("SELECT FROM products")).rowCount! > 0, "the starter catalogue");
});
afterAll(() => service?.stop());

async function ask(query: string, variables: Record<string, unknown> = {}, token?: string) {
  const answer = await service.graph(query, variables, { token });
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}

const names = async (variables: Record<string, unknown>, token?: string) => {
  const query = `query ($matching: ProductMatchInput! = {}, $sort: ProductSort! = RELEVANCE, $first: Int! = 20, $after: String) {
    products(matching: $matching, sort: $sort, first: $first, after: $after) { nodes { slug } pageInfo { hasNextPage endCursor } } }`;
  return (await ask(query, variables, token)).products as {
    nodes: { slug: string }[];
    pageInfo: { hasNextPage: boolean; endCursor: string };
  };
};

/** A product with one SKU and some units of it. */
async function article(units: number, code = `T-${randomUUID().slice(0, 8)}`) {
  const mutation = `mutation ($input: ImportProductsInput!) { importProducts(input: $input) { __typename ... on ProductsImported { created products { id skus { id code } } } ... on Problem { message } } }`;
  const input = {
    products: [{ code, name: `Article ${code}`, prices: [{ currency: "GBP", amountMinor: 100 }], stock: units }],
  };
  const { importProducts } = await ask(mutation, { input }, staff);
  return {
    skuId: importProducts.products[0].skus[0].id as string,
    productId: importProducts.products[0].id as string,
    created: importProducts.created as number,
  };
}

function placed(skuId: string, quantity: number, orderId: string = randomUUID(), digital = false) {
  const lineId = randomUUID();
  const customerId = randomUUID();
  const totals = { itemsMinor: 0, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: 0 };
  const line = { lineId, skuId, productId: randomUUID(), name: "x", quantity, unitMinor: 0, digital };
  const event = orderPlaced.create(
    { orderId, customerId, version: 1, number: "N", kind: "SALE", lines: [line], totals, currency: "GBP" },
    { sequence: 1 },
  );
  return { orderId, customerId, lineId, skuId, event };
}

const level = async (skuId: string) => {
  const { rows } = await service.admin.query(
    "SELECT sum(on_hand)::int AS on_hand, sum(reserved)::int AS reserved FROM stock WHERE sku_id = $1",
    [skuId],
  );
  return rows[0] as { on_hand: number; reserved: number };
};

describe("the catalogue", () => {
  test("is loaded once, with products in at least six categories and digital goods", async () => {
    const { rows } = await service.admin.query(
      "SELECT (SELECT count(*)::int FROM products) AS products, (SELECT count(*)::int FROM categories) AS categories, (SELECT count(*)::int FROM skus WHERE digital) AS digital",
    );
    expect(rows[0].products).toBeGreaterThanOrEqual(60);
    expect(rows[0].categories).toBeGreaterThanOrEqual(6);
    expect(rows[0].digital).toBeGreaterThanOrEqual(5);
    expect((await service.emitted(productChanged)).length).toBeGreaterThanOrEqual(rows[0].products);
  });

  test("is found by what shoppers type: 40 queries, 15 of them misspelt", async () => {
    const queries = JSON.parse(
      await readFile(new URL("../catalogue/search-queries.json", import.meta.url), "utf8"),
    ) as { query: string; expect: string[]; misspelt: boolean }[];
    expect(queries).toHaveLength(40);
    expect(queries.filter(({ misspelt }) => misspelt)).toHaveLength(15);
    const missed: string[] = [];
    for (const { query, expect: wanted } of queries) {
      const { nodes } = await names({ matching: { text: query }, first: 3 });
      if (!wanted.some((slug) => nodes.some((node) => node.slug === slug)))
        missed.push(`${query}: wanted ${wanted.join(" or ")}, found ${nodes.map(({ slug }) => slug).join(", ")}`);
    }
    // In the top three for nine of ten, printed where it is not so.
    expect(missed.length <= 4 ? [] : missed).toEqual([]);
  });

  test.each(["NEWEST", "NAME", "PRICE_ASC", "PRICE_DESC"])(
    "is listed by %s in pages without gap or repeat",
    async (sort) => {
      const all: string[] = [];
      let after: string | undefined;
      do {
        const { nodes, pageInfo } = await names({ sort, first: 17, after });
        all.push(...nodes.map(({ slug }) => slug));
        after = pageInfo.hasNextPage ? pageInfo.endCursor : undefined;
      } while (after);
      const { rows } = await service.admin.query("SELECT count(*)::int AS count FROM products WHERE published");
      expect(new Set(all).size).toBe(all.length);
      expect(all).toHaveLength(rows[0].count);
    },
  );

  test("is filtered by category with its sub-categories, price, option and stock", async () => {
    const digital = await names({ matching: { category: "digital" }, first: 100 });
    expect(digital.nodes.length).toBeGreaterThanOrEqual(5);
    const query = `query ($matching: ProductMatchInput!) { products(matching: $matching, first: 100) { nodes { skus { price { amountMinor } availability options { value } } } } }`;
    const cheap = await ask(query, { matching: { maxPriceMinor: 1000, minPriceMinor: 500 } });
    expect(cheap.products.nodes.length).toBeGreaterThan(0);
    for (const { skus } of cheap.products.nodes) {
      const least = Math.min(...skus.map((sku: { price: { amountMinor: number } }) => sku.price.amountMinor));
      expect(least).toBeGreaterThanOrEqual(500);
      expect(least).toBeLessThanOrEqual(1000);
    }
    const navy = await ask(query, { matching: { option: "navy", inStock: true } });
    expect(navy.products.nodes.length).toBeGreaterThan(0);
    for (const { skus } of navy.products.nodes)
      expect(
        skus.some((sku: { options: { value: string }[] }) => sku.options.some(({ value }) => value === "Navy")),
      ).toBe(true);
  });

  test("takes no order of its lists but those that it has (Vendure CVE-2026-40887)", async () => {
    const query = `query ($sort: ProductSort!) { products(sort: $sort, first: 1) { nodes { id } } }`;
    for (const sort of ["name", "NAME; DROP TABLE products", "(SELECT pg_sleep(9))", "NAME' OR '1'='1", 1, ["NAME"]]) {
      const { data, errors } = await service.graph(query, { sort });
      expect([data, errors?.[0]?.extensions.code]).toEqual([undefined, "BAD_USER_INPUT"]);
    }
    expect((await service.graph(query, { sort: "NAME" })).data.products.nodes).toHaveLength(1);
  });

  test("refuses what cannot be asked", async () => {
    for (const variables of [{ first: 101 }, { first: 0 }, { after: "x" }, { matching: { text: "x".repeat(201) } }]) {
      await expect(names(variables)).rejects.toThrow(/BAD_USER_INPUT/);
    }
    expect(
      (await service.graph(`{ products(sort: NAME_DROP_TABLE) { nodes { id } } }`)).errors?.[0]?.extensions.code,
    ).toBe("GRAPHQL_VALIDATION_FAILED");
    expect((await names({ matching: { text: "'; DROP TABLE products; --" } })).nodes).toBeInstanceOf(Array);
  });

  test("serves pictures, and nothing else from the disk", async () => {
    const { product } = await ask(`{ product(slug: "stoneware-mug") { picture } }`);
    const picture = await fetch(service.url + product.picture);
    expect(picture.headers.get("content-type")).toContain("image/svg+xml");
    expect(await picture.text()).toContain("<svg");
    for (const path of ["/media/..%2Fproducts.json", "/media/../products.json", "/media/none.svg"])
      expect((await fetch(service.url + path)).status).toBe(404);
  });
});

describe("staff", () => {
  const save = `mutation ($input: SaveProductInput!) { saveProduct(input: $input) { __typename ... on ProductSaved { product { id version published skus { id code priceVersion price { amountMinor } } } } ... on Problem { message } ... on InvalidInput { field } } }`;
  const lamp = (changes: Record<string, unknown> = {}) => ({
    slug: `lamp-${randomUUID().slice(0, 8)}`,
    name: "Reading lamp",
    description: "Bends where it should.",
    categories: ["home"],
    skus: [{ code: `LAMP-${randomUUID().slice(0, 8)}`, prices: [{ currency: "GBP", amountMinor: 4200 }] }],
    ...changes,
  });

  test("create and edit products; others learn each state in order", async () => {
    const { saveProduct: made } = await ask(save, { input: lamp() }, staff);
    const { id, skus } = made.product;
    expect(made.product.version).toBe(1);
    const setPrice = `mutation ($input: SetPriceInput!) { setPrice(input: $input) { __typename ... on PriceSet { product { version skus { priceVersion price { amountMinor } } } } } }`;
    const before = skus[0].priceVersion;
    const priced = await ask(setPrice, { input: { skuId: skus[0].id, currency: "GBP", amountMinor: 3900 } }, staff);
    expect(priced.setPrice.product).toEqual({
      version: 2,
      skus: [{ priceVersion: before + 1, price: { amountMinor: 3900 } }],
    });
    const same = await ask(setPrice, { input: { skuId: skus[0].id, currency: "GBP", amountMinor: 3900 } }, staff);
    expect(same.setPrice.product.version).toBe(2);
    await ask(
      `mutation ($input: PublishProductInput!) { publishProduct(input: $input) { __typename } }`,
      { input: { productId: id, published: false } },
      staff,
    );
    expect((await ask(`query ($id: ID!) { product(id: $id) { id } }`, { id }, shopper)).product).toBeNull();
    expect((await ask(`query ($id: ID!) { product(id: $id) { published } }`, { id }, staff)).product).toEqual({
      published: false,
    });
    const told = (await service.emitted(productChanged)).filter((event) => event.data.productId === id);
    expect(told.map(({ data }) => [data.version, data.published, data.skus[0]!.prices[0]!.amountMinor])).toEqual([
      [1, true, 4200],
      [2, true, 3900],
      [3, false, 3900],
    ]);
  });

  test.each([
    ["slug", { slug: "No Slug" }],
    ["skus", { skus: [] }],
    ["skus[0].prices[0].amountMinor", { skus: [{ code: "A", prices: [{ currency: "GBP", amountMinor: -1 }] }] }],
    ["skus[0].prices[0].currency", { skus: [{ code: "A", prices: [{ currency: "XTS", amountMinor: 1 }] }] }],
    ["categories", { categories: ["nowhere"] }],
    ["taxClass", { taxClass: "luxury" }],
  ])("are told that %s is wrong, and nothing is saved", async (field, changes) => {
    const { saveProduct } = await ask(save, { input: lamp(changes) }, staff);
    expect(saveProduct).toMatchObject({ __typename: "InvalidInput", field });
  });

  test("cannot take another product's code", async () => {
    const first = lamp();
    await ask(save, { input: first }, staff);
    expect((await ask(save, { input: lamp({ skus: first.skus }) }, staff)).saveProduct.__typename).toBe("CodeTaken");
  });

  test("import products once; codes differ by case", async () => {
    const code = `Case-${randomUUID().slice(0, 6)}a`;
    const first = await article(5, code);
    expect(first.created).toBe(1);
    expect(await article(9, code)).toEqual({ ...first, created: 0 });
    expect((await article(5, code.toUpperCase())).skuId).not.toBe(first.skuId);
    expect(await level(first.skuId)).toEqual({ on_hand: 5, reserved: 0 });
  });

  test("move stock, but not what orders hold, and once for a key", async () => {
    const { skuId } = await article(10);
    const { event } = placed(skuId, 8);
    await service.deliver(event);
    const mutation = `mutation ($input: MoveStockInput!) { moveStock(input: $input) { __typename ... on NotPossible { state } ... on InvalidInput { field } } }`;
    const { rows } = await service.admin.query(
      "SELECT l.code FROM stock s JOIN locations l ON l.id = s.location_id WHERE sku_id = $1",
      [skuId],
    );
    const move = async (changes: Record<string, unknown>, token = staff) => {
      const input = {
        idempotencyKey: randomUUID(),
        skuId,
        location: rows[0].code,
        quantity: -3,
        reason: "LOSS",
        ...changes,
      };
      return await service.graph(mutation, { input }, { token });
    };
    expect((await move({})).data.moveStock).toEqual({ __typename: "NotPossible", state: "RESERVED" });
    const idempotencyKey = randomUUID();
    for (let time = 0; time < 3; time++)
      expect((await move({ quantity: -2, idempotencyKey })).data.moveStock.__typename).toBe("StockMoved");
    expect(await level(skuId)).toEqual({ on_hand: 8, reserved: 8 });
    expect((await move({ quantity: 0 })).data.moveStock.field).toBe("quantity");
    expect((await move({ quantity: -1, reason: "RECEIPT" })).data.moveStock.field).toBe("quantity");
    expect((await move({ quantity: 1.5 })).errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
    expect((await move({ location: "moon" })).data.moveStock.field).toBe("location");
    expect((await move({ skuId: "x" })).data.moveStock.field).toBe("skuId");
    expect((await move({}, shopper)).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
  });

  test("see what runs low; shoppers see neither stock nor movements", async () => {
    const { skuId } = await article(2);
    const query = `query ($after: String) { lowStock(first: 100, after: $after) { nodes { id availability stock { onHand reserved } movements { nodes { quantity reason } } } pageInfo { hasNextPage endCursor } } }`;
    const low = await ask(query, {}, staff);
    expect(low.lowStock.nodes.find((sku: { id: string }) => sku.id === skuId)).toMatchObject({
      availability: "LOW_STOCK",
      stock: [{ onHand: 2, reserved: 0 }],
      movements: { nodes: [{ quantity: 2, reason: "OPENING" }] },
    });
    expect((await service.graph(query, {}, { token: shopper })).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    const peek = await service.graph(
      `query ($id: ID!) { sku(id: $id) { code stock { onHand } } }`,
      { id: skuId },
      { token: shopper },
    );
    expect(peek.data.sku.stock).toBeNull();
    expect(peek.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
  });
});

describe("orders", () => {
  test("hold, then take or give back, and the movements are the stock", async () => {
    const { skuId } = await article(10);
    const order = placed(skuId, 4);
    await service.deliver(order.event);
    expect(await level(skuId)).toEqual({ on_hand: 10, reserved: 4 });
    expect(
      (await service.emitted(stockReserved)).find(({ data }) => data.orderId === order.orderId)?.data.reservations,
    ).toMatchObject([{ skuId, quantity: 4 }]);
    const { orderId, customerId, lineId } = order;
    const onOrder = { orderId, customerId, number: "N" };
    const shipped = orderShipped.create(
      {
        ...onOrder,
        version: 2,
        shipmentId: randomUUID(),
        lines: [{ lineId, skuId, name: "x", quantity: 3, digital: false }],
        captureMinor: 0,
        captureSequence: 1,
        currency: "GBP",
        completesShipping: false,
      },
      { sequence: 2 },
    );
    const cancellationId = randomUUID();
    const cancelled = orderCancelled.create(
      {
        ...onOrder,
        version: 3,
        cancellationId,
        lines: [{ lineId, skuId, name: "x", quantity: 1 }],
        whole: false,
        beforeConfirmed: false,
        reason: "SHOPPER",
        capturableMinor: 0,
        currency: "GBP",
      },
      { sequence: 3 },
    );
    const records = await service.deliver(shipped, cancelled);
    for (let time = 0; time < 10; time++) await service.deliver(...records);
    expect(await level(skuId)).toEqual({ on_hand: 7, reserved: 0 });
    const released = (await service.emitted(stockReleased)).filter(({ data }) => data.orderId === orderId);
    expect(released.map(({ data, sequence }) => [data.cancellationId, data.lines[0]?.quantity, sequence])).toEqual([
      [cancellationId, 1, 2],
    ]);
    const { rows } = await service.admin.query("SELECT sum(quantity)::int AS sum FROM movements WHERE sku_id = $1", [
      skuId,
    ]);
    expect(rows[0].sum).toBe(7);
  });

  test("are rejected whole, with the lines that fall short; a cancellation of nothing is answered", async () => {
    const [plenty, few] = [await article(100), await article(1)];
    const order = placed(plenty.skuId, 1);
    const data = order.event.data as { lines: Record<string, unknown>[] };
    const short = { ...data.lines[0], lineId: randomUUID(), skuId: few.skuId, quantity: 2 };
    data.lines.push(short, { ...data.lines[0], lineId: randomUUID(), skuId: randomUUID(), quantity: 1 });
    await service.deliver(order.event);
    const rejected = (await service.emitted(stockRejected)).find((event) => event.data.orderId === order.orderId)!;
    expect(rejected.data.lines.map(({ requested, available }) => [requested, available])).toEqual([
      [2, 1],
      [1, 0],
    ]);
    expect(await level(plenty.skuId)).toEqual({ on_hand: 100, reserved: 0 });
    const { orderId, customerId, lineId, skuId } = order;
    await service.deliver(
      orderCancelled.create(
        {
          orderId,
          customerId,
          version: 2,
          number: "N",
          cancellationId: randomUUID(),
          lines: [{ lineId, skuId, name: "x", quantity: 1 }],
          whole: true,
          beforeConfirmed: true,
          reason: "SHOPPER",
          capturableMinor: 0,
          currency: "GBP",
        },
        { sequence: 2 },
      ),
    );
    expect((await service.emitted(stockReleased)).find((event) => event.data.orderId === orderId)?.data.lines).toEqual(
      [],
    );
  });

  test("for downloads hold nothing", async () => {
    const { event, orderId } = placed(randomUUID(), 3, randomUUID(), true);
    await service.deliver(event);
    expect(
      (await service.emitted(stockReserved)).find(({ data }) => data.orderId === orderId)?.data.reservations,
    ).toEqual([]);
  });

  test("for the last unit, 100 at once: exactly one gets it, and shoppers are told", async () => {
    const { skuId } = await article(1);
    const orders = Array.from({ length: 100 }, () => placed(skuId, 1));
    await service.deliver(...orders.map(({ event }) => event));
    const ids = new Set(orders.map(({ orderId }) => orderId));
    const of = async (contract: typeof stockReserved | typeof stockRejected) =>
      (await service.emitted(contract as typeof stockReserved)).filter(({ data }) => ids.has(data.orderId)).length;
    expect([await of(stockReserved), await of(stockRejected)]).toEqual([1, 99]);
    expect(await level(skuId)).toEqual({ on_hand: 1, reserved: 1 });
    expect(
      (await service.emitted(availabilityChanged))
        .filter(({ data }) => data.skuId === skuId)
        .map(({ data }) => [data.availability, data.version]),
    ).toEqual([
      ["LOW_STOCK", 1],
      ["OUT_OF_STOCK", 2],
    ]);
  });

  test("that come back are put back once, or written off", async () => {
    const { skuId } = await article(3);
    const { orderId, customerId, lineId } = placed(skuId, 1);
    const returnId = randomUUID();
    const lines = (["RESTOCK", "WRITE_OFF", "REFUSED"] as const).map((disposition) => ({
      lineId,
      skuId,
      quantity: 2,
      disposition,
    }));
    const inspected = returnInspected.create(
      { orderId, customerId, version: 4, returnId, number: "R", lines },
      { sequence: 4 },
    );
    await service.deliver(inspected);
    await service.deliver(inspected);
    expect(await level(skuId)).toEqual({ on_hand: 5, reserved: 0 });
  });
});
