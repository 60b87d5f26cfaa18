import { availabilityChanged, productChanged } from "@crowdcrunch/events/inventory";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importAll, newId, openInventory, order, stocked } from "./stock-world.ts";

let service: TestService;
let staff: string;

beforeAll(async () => {
  service = await openInventory();
  staff = await service.signToken({ roles: ["STAFF"] });
});
afterAll(() => service?.stop());

const saveProduct = `mutation ($input: SaveProductInput!) { saveProduct(input: $input) { __typename
  ... on ProductSaved { product { id version skus { id code priceVersion gbp: price { amountMinor } eur: price(currency: "EUR") { amountMinor } } } }
  ... on Problem { message } ... on InvalidInput { field } ... on CodeTaken { code } } }`;

const gbp = (amountMinor: number) => ({ currency: "GBP", amountMinor });
const eur = (amountMinor: number) => ({ currency: "EUR", amountMinor });

function draft(change: object = {}) {
  const code = newId().slice(0, 8);
  const skus = [{ code, prices: [gbp(1_000)] }];
  return { slug: `mug-${code}`, name: "Mug", description: "A mug.", skus, ...change };
}

async function save(input: object) {
  const answer = await service.graph(saveProduct, { input }, { token: staff });
  if (!answer.data?.saveProduct) throw new Error(JSON.stringify(answer.errors));
  return answer.data.saveProduct;
}

describe("saveProduct", () => {
  test("a price that is left out is gone, and the price version tells", async () => {
    const code = newId().slice(0, 8);
    const input = draft({ skus: [{ code, prices: [gbp(1_000), eur(1_200)] }] });
    const { product } = await save(input);
    expect(product.skus).toMatchObject([{ priceVersion: 2, eur: { amountMinor: 1_200 } }]);
    const edited = await save({ ...input, id: product.id, skus: [{ code, prices: [gbp(1_000)] }] });
    expect(edited.product.skus).toMatchObject([{ priceVersion: 3, gbp: { amountMinor: 1_000 }, eur: null }]);
    const events = (await service.emitted(productChanged)).filter(({ subject }) => subject === product.id);
    expect(events.map(({ sequence, data }) => [sequence, data.skus[0]?.prices.length])).toEqual([
      [1, 2],
      [2, 1],
    ]);
  });

  test("two SKUs can change their codes with each other", async () => {
    const [one, two] = [newId().slice(0, 8), newId().slice(0, 8)];
    const input = draft({ skus: [one, two].map((code) => ({ code, prices: [gbp(100)] })) });
    const { product } = await save(input);
    const ids = product.skus.map(({ id }: { id: string }) => id);
    const skus = [
      { id: ids[0], code: two, prices: [gbp(100)] },
      { id: ids[1], code: one, prices: [gbp(100)] },
    ];
    expect((await save({ ...input, id: product.id, skus })).product.skus).toMatchObject([
      { id: ids[0], code: two },
      { id: ids[1], code: one },
    ]);
  });

  test("the same slug asked for by two at once goes to one; the other is told", async () => {
    const input = draft();
    const other = { ...draft(), slug: input.slug };
    const answers = await Promise.all([save(input), save(other)]);
    expect(answers.map(({ __typename }) => __typename).sort()).toEqual(["CodeTaken", "ProductSaved"]);
  });

  test("tells of the availability of a new article, once", async () => {
    const download = { code: newId().slice(0, 8), digital: true, prices: [gbp(500)] };
    const thing = { code: newId().slice(0, 8), prices: [gbp(500)] };
    const input = draft({ skus: [download, thing] });
    const { product } = await save(input);
    await save({ ...input, id: product.id, name: "Mug with handle" });
    const told = (await service.emitted(availabilityChanged)).filter(({ key }) => key === product.id);
    const skuIds = product.skus.map(({ id }: { id: string }) => id);
    expect(told.map(({ sequence, subject, data }) => [sequence, skuIds.indexOf(subject), data.availability])).toEqual(
      expect.arrayContaining([
        [1, 0, "IN_STOCK"],
        [1, 1, "OUT_OF_STOCK"],
      ]),
    );
    expect(told).toHaveLength(2);
  });

  test.each([
    ["a currency twice", { skus: [{ code: "A", prices: [gbp(1), gbp(2)] }] }, "skus[0].prices[1].currency"],
    [
      "a currency that the shop does not sell in",
      { skus: [{ code: "A", prices: [{ currency: "CHF", amountMinor: 1 }] }] },
      "skus[0].prices[0].currency",
    ],
    ["a negative price", { skus: [{ code: "A", prices: [gbp(-1)] }] }, "skus[0].prices[0].amountMinor"],
    ["no price", { skus: [{ code: "A", prices: [] }] }, "skus[0].prices"],
    ["no SKU", { skus: [] }, "skus"],
    [
      "a code twice",
      {
        skus: [
          { code: "A", prices: [gbp(1)] },
          { code: "A", prices: [gbp(1)] },
        ],
      },
      "skus[1].code",
    ],
    [
      "an empty option",
      { skus: [{ code: "A", prices: [gbp(1)], options: [{ name: "size", value: "" }] }] },
      "skus[0].options[0].value",
    ],
    ["a SKU of another product", { skus: [{ id: newId(), code: "A", prices: [gbp(1)] }] }, "skus[0].id"],
    ["a malformed id", { id: "one" }, "id"],
    ["a slug with capitals", { slug: "Mug" }, "slug"],
    ["an empty name", { name: " " }, "name"],
    ["a picture that is a path", { picture: "../../secrets/jwks.json" }, "picture"],
    ["an unknown category", { categories: ["nowhere"] }, "categories"],
    ["an unknown tax class", { taxClass: "none" }, "taxClass"],
  ])("refuses %s", async (_, change, field) => {
    expect(await save(draft(change))).toMatchObject({ __typename: "InvalidInput", field });
  });

  test.each([
    ["fractions of a penny", gbp(1.5), /whole number/],
    ["more than the safe integers", gbp(2 ** 53), /whole number/],
    ["what is no currency", { currency: "pounds", amountMinor: 1 }, /ISO 4217/],
  ])("refuses %s", async (_, price, message) => {
    await expect(save(draft({ skus: [{ code: "A", prices: [price] }] }))).rejects.toThrow(message);
  });
});

describe("what is not on sale", () => {
  test("is seen by staff alone, also through its SKU and as an entity; orders still find the SKU", async () => {
    const input = draft({ published: false });
    const { product } = await save(input);
    const skuId = product.skus[0].id;
    const query = `query ($slug: String!, $id: ID!, $skuId: ID!, $references: [_Any!]!) {
      bySlug: product(slug: $slug) { id } byId: product(id: $id) { id } sku(id: $skuId) { id } skus(ids: [$skuId]) { id }
      products(matching: { text: "Mug" }, first: 100) { nodes { id } }
      _entities(representations: $references) { ... on Product { id } ... on Sku { id code } } }`;
    const references = [
      { __typename: "Product", id: product.id },
      { __typename: "Product", slug: input.slug },
      { __typename: "Sku", id: skuId },
    ];
    const variables = { slug: input.slug, id: product.id, skuId, references };
    const seen = async (token?: string) => {
      const { data } = await service.graph(query, variables, { token });
      const found = data.products.nodes.some(({ id }: { id: string }) => id === product.id);
      return [data.bySlug, data.byId, data.sku, data.skus[0], ...data._entities.slice(0, 2)].map(Boolean).concat(found);
    };
    expect(await seen()).toEqual([false, false, false, false, false, false, false]);
    expect(await seen(staff)).toEqual([true, true, true, true, true, true, true]);
    const { data } = await service.graph(query, variables);
    expect(data._entities[2]).toEqual({ id: skuId, code: input.skus[0]!.code });
  });
});

describe("republication", () => {
  test("tells the state of products and availabilities again, at their versions", async () => {
    const article = await stocked(service, staff, 3);
    await service.deliver(order([{ ...article, quantity: 3 }]).placed());
    const before = await service.emitted();
    const { data } = await service.graph(`mutation { inventoryRepublish { events } }`, {}, { token: staff });
    const again = (await service.emitted()).slice(0);
    expect(again.length - before.length).toBe(data.inventoryRepublish.events);
    const told = again.filter(({ key }) => key === article.productId);
    const versions = told.map(({ type, sequence, republished }) => [type, sequence, republished ?? false]);
    expect(versions.filter(([, , republished]) => republished)).toEqual([
      [productChanged.type, 1, true],
      [availabilityChanged.type, 2, true],
    ]);
  });
});

describe("prices and currencies", () => {
  test("an unknown currency is an error, not another price (GHSA-wm63-7627-ch33)", async () => {
    const { skuId } = await stocked(service, staff, 1);
    const query = `query ($skuId: ID!, $currency: CurrencyCode!) { sku(id: $skuId) { id price(currency: $currency) { amountMinor } } }`;
    const answer = await service.graph(query, { skuId, currency: "XXX" });
    expect(answer.data.sku).toEqual({ id: skuId, price: null });
    expect(answer.errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", field: "currency" });
    expect((await service.graph(query, { skuId, currency: "EUR" })).data.sku.price).toBeNull();
  });
});

describe("with 2,000 products", () => {
  const colours = ["RED", "IVORY", "ZINC", "PINK", "RETRO", "GLASS", "WOODEN", "PAPER", "LACE", "SPOTTY"];
  const things = ["LANTERN", "BUNTING", "DOORMAT", "CAKESTAND", "NAPKINS", "UMBRELLA", "CUSHION", "TEASPOON"];

  beforeAll(async () => {
    for (let from = 0; from < 2_000; from += 500) {
      const products = Array.from({ length: 500 }, (_, index) => {
        const number = from + index;
        const name = `${colours[number % 10]} ${things[Math.floor(number / 10) % 8]} no. ${number}`;
        return { code: `MANY-${number}`, name, prices: [gbp(100 + number)], stock: 5 };
      });
      await importAll(service, staff, products);
    }
    await service.admin.query("ANALYZE");
  });

  const search = async (matching: object, more = "") => {
    const query = `query ($matching: ProductMatchInput!) { products(matching: $matching, first: 20 ${more}) { nodes { name } } }`;
    return (await service.graph(query, { matching })).data.products.nodes.map(({ name }: { name: string }) => name);
  };

  test.each([
    ["ivory lantern", /^IVORY LANTERN/],
    ["ivroy lantren", /^IVORY LANTERN/],
    ["umbrela", /UMBRELLA/],
    ["cakestnad", /CAKESTAND/],
    ["spoty doormats", /^SPOTTY DOORMAT/],
  ])("%s is found", async (text, expected) => {
    const names = await search({ text });
    expect(names).toHaveLength(20);
    for (const name of names) expect(name).toMatch(expected);
  });

  test("cheapest and dearest come first, within limits", async () => {
    const limits = { text: "lantern", minPriceMinor: 1_000, maxPriceMinor: 1_500 };
    const prices = (names: string[]) => names.map((name) => 100 + Number(name.split(" ").at(-1)));
    const [cheap, dear] = [
      prices(await search(limits, "sort: PRICE_ASC")),
      prices(await search(limits, "sort: PRICE_DESC")),
    ];
    expect(cheap).toEqual([...cheap].sort((a, b) => a - b));
    expect(dear).toEqual([...dear].sort((a, b) => b - a));
    for (const price of [...cheap, ...dear]) expect(price >= 1_000 && price <= 1_500).toBe(true);
  });

  test("a search reads an index and not the table", async () => {
    const plan = await service.admin.query(
      `EXPLAIN SELECT id FROM products p WHERE p.published AND p.search @@ (SELECT to_tsquery('english', 'ivory & lantern'))`,
    );
    expect(JSON.stringify(plan.rows)).toContain("products_search");
    const near = await service.admin.query(
      `EXPLAIN SELECT word FROM search_words ORDER BY word <-> 'lantren' LIMIT 20`,
    );
    expect(JSON.stringify(near.rows)).toContain("search_words_alike");
  });
});
