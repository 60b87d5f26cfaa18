import { consentChanged, customerErased } from "@crowdcrunch/events/customers";
import { cartAbandoned } from "@crowdcrunch/events/frontend";
import { availabilityChanged, productChanged } from "@crowdcrunch/events/inventory";
import { orderCancelled, orderPlaced, orderRejected } from "@crowdcrunch/events/orders";
import { guestClaimed } from "@crowdcrunch/events/users";
import { testService, until } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomUUID as newId } from "node:crypto";
import { frontend } from "../src/service.ts";

let service: TestService;
beforeAll(async () => {
  service = await testService(frontend, { env: { CART_UPKEEP_INTERVAL_MS: "50" } });
});
afterAll(() => service.stop());

const cartFields = `id version open couponCode lines { skuId quantity sku { id } } shipTo { name countryCode postalCode }`;
const problems = `... on InvalidInput { field message } ... on NotFound { message } ... on NotPossible { state }`;

interface Person {
  sub: string;
  token: string;
}

async function person(roles: ("GUEST" | "SHOPPER" | "STAFF")[] = ["SHOPPER"]): Promise<Person> {
  const sub = newId();
  return { sub, token: await service.signToken({ sub, roles }) };
}

async function setLine({ token }: { token?: string }, input: object) {
  const { data, errors } = await service.graph(
    `mutation ($input: SetCartLineInput!) { setCartLine(input: $input) { __typename ... on CartChanged { cart { ${cartFields} } } ${problems} } }`,
    { input },
    { token },
  );
  return errors ? { errors } : data.setCartLine;
}

async function setDetails({ token }: { token?: string }, input: object) {
  const { data, errors } = await service.graph(
    `mutation ($input: SetCartDetailsInput!) { setCartDetails(input: $input) { __typename ... on CartChanged { cart { ${cartFields} } } ${problems} } }`,
    { input },
    { token },
  );
  return errors ? { errors } : data.setCartDetails;
}

async function cartOf({ token }: { token?: string }, id?: string) {
  const { data, errors } = await service.graph(
    `query ($id: ID) { cart(id: $id) { ${cartFields} } }`,
    { id },
    { token },
  );
  return errors ? { errors } : data.cart;
}

/** A cart with these lines. */
async function fill(who: Person, lines: Record<string, number>): Promise<string> {
  let id = "";
  for (const [skuId, quantity] of Object.entries(lines)) id = (await setLine(who, { skuId, quantity })).cart.id;
  return id;
}

function linesOf(cart: { lines: { skuId: string; quantity: number }[] }): Record<string, number> {
  return Object.fromEntries(cart.lines.map(({ skuId, quantity }) => [skuId, quantity]));
}

const totals = { itemsMinor: 0, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: 0 };

function placed(
  customerId: string,
  cartId: string | undefined,
  lines: Record<string, number>,
  products: Record<string, string> = {},
) {
  const orderId = newId();
  return orderPlaced.create(
    {
      orderId,
      customerId,
      version: 1,
      number: "ORDER",
      kind: "SALE",
      ...(cartId === undefined ? {} : { cartId }),
      lines: Object.entries(lines).map(([skuId, quantity]) => ({
        lineId: newId(),
        skuId,
        productId: products[skuId] ?? newId(),
        name: "Thing",
        quantity,
        unitMinor: 100,
        digital: false,
      })),
      totals,
      currency: "GBP",
    },
    { sequence: 1 },
  );
}

function rejected(order: ReturnType<typeof placed>, cartId: string) {
  const { orderId, customerId } = order.data as { orderId: string; customerId: string };
  return orderRejected.create(
    { orderId, customerId, version: 2, number: "ORDER", cartId, reason: "OUT_OF_STOCK", lines: [] },
    { sequence: 2 },
  );
}

function cancelled(
  order: ReturnType<typeof placed>,
  cartId: string,
  more: { whole: boolean; beforeConfirmed: boolean },
) {
  const { orderId, customerId } = order.data as { orderId: string; customerId: string };
  const lines = [{ lineId: newId(), skuId: newId(), name: "Thing", quantity: 1 }];
  return orderCancelled.create(
    {
      orderId,
      customerId,
      version: 2,
      number: "ORDER",
      cartId,
      cancellationId: newId(),
      lines,
      reason: "SHOPPER",
      capturableMinor: 0,
      currency: "GBP",
      ...more,
    },
    { sequence: 2 },
  );
}

interface ProductOptions {
  productId?: string;
  skuId?: string;
  version?: number;
  published?: boolean;
  slug?: string;
  name?: string;
}

function product(options: ProductOptions = {}) {
  const {
    productId = newId(),
    skuId = newId(),
    version = 1,
    published = true,
    slug = productId,
    name = "Mug",
  } = options;
  return productChanged.create(
    {
      productId,
      version,
      published,
      slug,
      name,
      description: "Holds coffee.",
      image: "/media/mug.svg",
      categories: [{ slug: "kitchen", name: "Kitchen" }],
      skus: [
        {
          skuId,
          code: `MUG-${skuId.slice(-4)}`,
          name: `${name}, blue`,
          options: [{ name: "Colour", value: "blue" }],
          digital: false,
          taxClass: "STANDARD",
          priceVersion: 1,
          prices: [{ currency: "GBP", amountMinor: 950 }],
        },
      ],
    },
    { sequence: version },
  );
}

const agree = (customerId: string, purpose: "RECOMMENDATIONS" | "CART_REMINDERS", granted: boolean, sequence: number) =>
  consentChanged.create({ customerId, purpose, granted }, { sequence });

describe("setCartLine", () => {
  it("makes a cart, adds, changes and takes out lines", async () => {
    const guest = await person(["GUEST"]);
    const [mug, pen] = [newId(), newId()];
    const first = await setLine(guest, { skuId: pen, quantity: 2 });
    expect(first).toMatchObject({
      __typename: "CartChanged",
      cart: { version: 1, open: true, couponCode: null, shipTo: null },
    });
    const cartId = first.cart.id;
    const second = await setLine(guest, { cartId, skuId: mug.toUpperCase(), quantity: 1 });
    expect(second.cart.lines).toEqual([
      { skuId: pen, quantity: 2, sku: { id: pen } },
      { skuId: mug, quantity: 1, sku: { id: mug } },
    ]);
    expect(linesOf((await setLine(guest, { skuId: pen, quantity: 100_000 })).cart)).toEqual({
      [pen]: 100_000,
      [mug]: 1,
    });
    expect(linesOf((await setLine(guest, { skuId: pen, quantity: 0 })).cart)).toEqual({ [mug]: 1 });
    const asRead = await cartOf(guest);
    expect(asRead).toMatchObject({ id: cartId, version: 4 });
    expect(linesOf(asRead)).toEqual({ [mug]: 1 });
  });

  it("puts the first line into the cart that the shopper was shown empty", async () => {
    const ada = await person();
    const shown = await cartOf(ada);
    expect(shown).toMatchObject({ version: 0, open: true, lines: [] });
    expect((await service.admin.query("SELECT FROM carts WHERE customer_id = $1", [ada.sub])).rowCount).toBe(0);
    const { cart } = await setLine(ada, { cartId: shown.id, skuId: newId(), quantity: 1 });
    expect(cart.id).toBe(shown.id);
  });

  it("loses nothing when twenty tabs begin a cart at once", async () => {
    const ada = await person();
    const { id: cartId } = await cartOf(ada);
    const skus = Array.from({ length: 20 }, () => newId());
    const answers = await Promise.all(
      skus.map((skuId, index) => setLine(ada, { ...(index % 2 ? { cartId } : {}), skuId, quantity: 1 })),
    );
    // Whoever came first decided the cart's id; tabs that meant the other one are told so, and nothing of theirs is half done.
    const done = skus.filter((_, index) => answers[index].__typename === "CartChanged");
    for (const answer of answers) expect(["CartChanged", "NotFound"]).toContain(answer.__typename);
    expect(Object.keys(linesOf(await cartOf(ada))).sort()).toEqual(done.sort());
    expect(done.length).toBeGreaterThanOrEqual(10);
  });

  it.each([
    ["quantity", { quantity: -1 }],
    ["quantity", { quantity: 100_001 }],
    ["quantity", { quantity: 2_147_483_647 }],
    ["skuId", { skuId: "42" }],
    ["skuId", { skuId: "'; DROP TABLE carts; --" }],
    ["cartId", { cartId: "cart" }],
  ])("refuses a bad %s: %j", async (field, bad) => {
    const ada = await person();
    const answer = await setLine(ada, { skuId: newId(), quantity: 1, ...bad });
    expect(answer).toMatchObject({ __typename: "InvalidInput", field });
    expect((await service.admin.query("SELECT FROM carts WHERE customer_id = $1", [ada.sub])).rowCount).toBe(0);
  });

  it.each([1.5, 3_000_000_000, "1", null])("refuses %j as a quantity by its type", async (quantity) => {
    const { errors } = await setLine(await person(), { skuId: newId(), quantity });
    expect(errors[0].extensions.code).toBe("BAD_USER_INPUT");
  });

  it("refuses the 1,001st line, and still changes those that are there", async () => {
    const ada = await person();
    const skus = Array.from({ length: 1_000 }, () => newId());
    const cartId = await fill(ada, { [skus[0]!]: 1 });
    await service.admin.query("UPDATE carts SET lines = $2 WHERE id = $1", [
      cartId,
      JSON.stringify(Object.fromEntries(skus.map((skuId, position) => [skuId, { position, quantity: 1 }]))),
    ]);
    expect(await setLine(ada, { skuId: newId(), quantity: 1 })).toMatchObject({
      __typename: "InvalidInput",
      field: "skuId",
    });
    expect((await setLine(ada, { skuId: skus[7], quantity: 3 })).cart.lines).toHaveLength(1_000);
    expect((await setLine(ada, { skuId: skus[7], quantity: 0 })).cart.lines).toHaveLength(999);
    expect((await setLine(ada, { skuId: newId(), quantity: 1 })).cart.lines).toHaveLength(1_000);
  });

  it("lets nobody touch or see another's cart", async () => {
    const [ada, mallory] = [await person(), await person()];
    const sku = newId();
    const cartId = await fill(ada, { [sku]: 1 });
    expect((await setLine(mallory, { cartId, skuId: sku, quantity: 0 })).__typename).toBe("NotFound");
    expect((await setDetails(mallory, { cartId, couponCode: "MINE" })).__typename).toBe("NotFound");
    expect(await cartOf(mallory, cartId)).toBeNull();
    expect((await cartOf({}, cartId)).errors[0].extensions.code).toBe("UNAUTHENTICATED");
    expect((await setLine({}, { skuId: sku, quantity: 1 })).errors[0].extensions.code).toBe("UNAUTHENTICATED");
    const reference = `query ($r: [_Any!]!) { _entities(representations: $r) { ... on Cart { id } } }`;
    const representations = { r: [{ __typename: "Cart", id: cartId }] };
    expect((await service.graph(reference, representations, { token: mallory.token })).data._entities).toEqual([null]);
    expect((await service.graph(reference, representations, { token: ada.token })).data._entities).toEqual([
      { id: cartId },
    ]);
    expect(linesOf(await cartOf(await person(["STAFF"]), cartId))).toEqual({ [sku]: 1 });
    const link = { token: await service.signToken({ sub: ada.sub, roles: ["GUEST"], order: newId() }) };
    expect((await setLine(link, { skuId: sku, quantity: 5 })).__typename).toBe("Forbidden");
    expect(linesOf(await cartOf(ada))).toEqual({ [sku]: 1 });
  });
});

describe("setCartDetails", () => {
  const shipTo = {
    name: "Ada",
    line1: "12 St James's Square",
    city: "London",
    postalCode: "sw1y 4jh",
    countryCode: "gb",
  };

  it("sets what is given and leaves the rest", async () => {
    const ada = await person();
    const first = await setDetails(ada, { couponCode: " spring-26 ", shipTo });
    expect(first.cart).toMatchObject({
      couponCode: "SPRING-26",
      shipTo: { name: "Ada", countryCode: "GB", postalCode: "SW1Y 4JH" },
    });
    const second = await setDetails(ada, { cartId: first.cart.id, couponCode: null });
    expect(second.cart).toMatchObject({ couponCode: null, shipTo: { name: "Ada" }, version: 2 });
    expect((await setDetails(ada, { shipTo: null })).cart.shipTo).toBeNull();
  });

  it.each([
    ["shipTo.countryCode", { shipTo: { ...shipTo, countryCode: undefined } }],
    ["shipTo.countryCode", { shipTo: { ...shipTo, countryCode: "UK" } }],
    ["shipTo.name", { shipTo: {} }],
    ["couponCode", { couponCode: "not a code!" }],
  ])("refuses a bad %s", async (field, input) => {
    const expected = field === "shipTo.name" ? "shipTo.countryCode" : field;
    expect(await setDetails(await person(), input)).toMatchObject({ __typename: "InvalidInput", field: expected });
  });
});

describe("an order", () => {
  it("closes its cart, once, however often it is told", async () => {
    const ada = await person();
    const sku = newId();
    const cartId = await fill(ada, { [sku]: 2 });
    const [record] = await service.deliver(placed(ada.sub, cartId, { [sku]: 2 }));
    expect(await cartOf(ada, cartId)).toMatchObject({ open: false, version: 2 });
    expect(await setLine(ada, { cartId, skuId: sku, quantity: 1 })).toMatchObject({
      __typename: "NotPossible",
      state: "ORDERED",
    });
    const next = await fill(ada, { [sku]: 7 });
    expect(next).not.toBe(cartId);
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    expect(await cartOf(ada, cartId)).toMatchObject({ open: false, version: 2 });
    expect(await cartOf(ada)).toMatchObject({ id: next, version: 1 });
  });

  it("leaves in an open cart what it did not take", async () => {
    const ada = await person();
    const [mug, pen] = [newId(), newId()];
    const cartId = await fill(ada, { [mug]: 3, [pen]: 1 });
    await service.deliver(placed(ada.sub, cartId, { [mug]: 2 }));
    expect(linesOf(await cartOf(ada, cartId))).toEqual({ [mug]: 2 });
    const rest = await cartOf(ada);
    expect(rest.id).not.toBe(cartId);
    expect(linesOf(rest)).toEqual({ [mug]: 1, [pen]: 1 });
  });

  it("opens its cart again when it is rejected, or cancelled as a whole before it was confirmed", async () => {
    const ada = await person();
    const sku = newId();
    const cartId = await fill(ada, { [sku]: 2 });
    const order = placed(ada.sub, cartId, { [sku]: 2 });
    await service.deliver(order);
    const [record] = await service.deliver(rejected(order, cartId));
    expect(await cartOf(ada)).toMatchObject({ id: cartId, open: true, version: 3 });
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    expect(await cartOf(ada)).toMatchObject({ id: cartId, version: 3 });

    const again = placed(ada.sub, cartId, { [sku]: 2 });
    await service.deliver(again, cancelled(again, cartId, { whole: true, beforeConfirmed: true }));
    expect(linesOf(await cartOf(ada))).toEqual({ [sku]: 2 });
    const third = placed(ada.sub, cartId, { [sku]: 2 });
    await service.deliver(third, cancelled(third, cartId, { whole: true, beforeConfirmed: false }));
    expect(await cartOf(ada, cartId)).toMatchObject({ open: false });
  });

  it("puts its lines into the cart that was begun since", async () => {
    const ada = await person();
    const [mug, pen] = [newId(), newId()];
    const cartId = await fill(ada, { [mug]: 2 });
    const order = placed(ada.sub, cartId, { [mug]: 2 });
    await service.deliver(order);
    const next = await fill(ada, { [pen]: 1, [mug]: 99_999 });
    await service.deliver(rejected(order, cartId));
    const cart = await cartOf(ada);
    expect(cart.id).toBe(next);
    expect(cart.lines.map((line: { skuId: string }) => line.skuId)).toEqual([pen, mug]);
    expect(linesOf(cart)).toEqual({ [mug]: 100_000, [pen]: 1 });
    expect(await cartOf(ada, cartId)).toBeNull();
  });

  it("closes no stranger's cart", async () => {
    const [ada, mallory] = [await person(), await person()];
    const sku = newId();
    const cartId = await fill(ada, { [sku]: 2 });
    const order = placed(mallory.sub, cartId, { [sku]: 2 });
    await service.deliver(order, rejected(order, cartId));
    expect(await cartOf(ada)).toMatchObject({ id: cartId, open: true, version: 1 });
    expect((await service.admin.query("SELECT FROM parked")).rowCount).toBe(0);
  });
});

describe("a guest who signs up", () => {
  const claim = (guestId: string, userId: string) => guestClaimed.create({ guestId, userId }, { sequence: 2 });

  it("finds the cart in the account, under the same id", async () => {
    const [guest, ada] = [await person(["GUEST"]), await person()];
    const sku = newId();
    const cartId = await fill(guest, { [sku]: 2 });
    const [record] = await service.deliver(claim(guest.sub, ada.sub));
    for (let time = 0; time < 10; time++) await service.deliver(record as never);
    expect(linesOf(await cartOf(ada))).toEqual({ [sku]: 2 });
    expect((await cartOf(ada)).id).toBe(cartId);
    expect(await cartOf(guest, cartId)).toBeNull();
    await service.deliver(placed(guest.sub, cartId, { [sku]: 2 }));
    expect(await cartOf(ada, cartId)).toMatchObject({ open: false });
  });

  it("finds both carts in one where the account had one", async () => {
    const [guest, ada] = [await person(["GUEST"]), await person()];
    const [mug, pen] = [newId(), newId()];
    const cartId = await fill(ada, { [mug]: 1 });
    await fill(guest, { [pen]: 2, [mug]: 3 });
    await setDetails(guest, { couponCode: "SPRING" });
    await service.deliver(claim(guest.sub, ada.sub));
    const cart = await cartOf(ada);
    expect(cart).toMatchObject({ id: cartId, couponCode: "SPRING" });
    expect(cart.lines).toMatchObject([
      { skuId: mug, quantity: 4 },
      { skuId: pen, quantity: 2 },
    ]);
  });

  it("has no bought things in the cart where the order is told of before the sign-up", async () => {
    const [guest, ada] = [await person(["GUEST"]), await person()];
    const [mug, pen] = [newId(), newId()];
    const cartId = await fill(guest, { [mug]: 1, [pen]: 1 });
    await service.deliver(placed(ada.sub, cartId, { [mug]: 1 }));
    expect(await cartOf(guest)).toMatchObject({ id: cartId, open: true });
    await service.deliver(claim(guest.sub, ada.sub));
    expect(await cartOf(ada, cartId)).toMatchObject({ open: false });
    expect(linesOf(await cartOf(ada))).toEqual({ [pen]: 1 });
  });
});

describe("pages", () => {
  const page = async (slug: string) =>
    (
      await service.graph(
        `query ($slug: String!) { page(slug: $slug) { slug name description image product { id } categories { slug name }
           offers { code name digital availability sku { id } options { name value } prices { amountMinor currency } } } }`,
        { slug },
      )
    ).data.page;

  it("show the newest state of a product on sale, to everybody", async () => {
    const [productId, skuId] = [newId(), newId()];
    const slug = `mug-${productId}`;
    await service.deliver(product({ productId, skuId, slug, version: 2, name: "Big mug" }));
    await service.deliver(product({ productId, skuId, slug, version: 1, name: "Mug" }));
    const available = (availability: "IN_STOCK" | "LOW_STOCK", version: number) =>
      availabilityChanged.create({ productId, skuId, availability, version }, { sequence: version });
    await service.deliver(available("LOW_STOCK", 2), available("IN_STOCK", 1));
    expect(await page(slug)).toEqual({
      slug,
      name: "Big mug",
      description: "Holds coffee.",
      image: "/media/mug.svg",
      product: { id: productId },
      categories: [{ slug: "kitchen", name: "Kitchen" }],
      offers: [
        {
          code: `MUG-${skuId.slice(-4)}`,
          name: "Big mug, blue",
          digital: false,
          availability: "LOW_STOCK",
          sku: { id: skuId },
          options: [{ name: "Colour", value: "blue" }],
          prices: [{ amountMinor: 950, currency: "GBP" }],
        },
      ],
    });
    const other = newId();
    await service.deliver(product({ productId, skuId: other, slug, version: 3 }));
    expect((await page(slug)).offers).toMatchObject([{ sku: { id: other }, availability: null }]);
    await service.deliver(product({ productId, skuId: other, slug, version: 4, published: false }));
    expect(await page(slug)).toBeNull();
    expect(await page("nothing")).toBeNull();
  });
});

describe("what is bought together", () => {
  const alsoBought = async (productId: string, token?: string, first = 6) => {
    const { data, errors } = await service.graph(
      `query ($r: [_Any!]!, $first: Int!) { _entities(representations: $r) { ... on Product { alsoBought(first: $first) { id } } } }`,
      { r: [{ __typename: "Product", id: productId }], first },
      { token },
    );
    return errors ? errors[0]!.extensions.code : data._entities[0].alsoBought.map(({ id }: { id: string }) => id);
  };

  it("counts orders, and honours what people agreed to", async () => {
    const [mug, tea, pot] = [newId(), newId(), newId()];
    const skus = { mug: newId(), tea: newId(), pot: newId() };
    await service.deliver(...[mug, tea, pot].map((productId) => product({ productId })));
    const products = { [skus.mug]: mug, [skus.tea]: tea, [skus.pot]: pot };
    const order = (customerId: string, ...bought: string[]) =>
      placed(customerId, undefined, Object.fromEntries(bought.map((sku) => [sku, 1])), products);

    const [fond, shy] = [await person(), await person()];
    await service.deliver(agree(fond.sub, "RECOMMENDATIONS", true, 1), agree(shy.sub, "RECOMMENDATIONS", false, 1));
    const records = await service.deliver(
      order(newId(), skus.mug, skus.tea),
      order(newId(), skus.mug, skus.tea),
      order(fond.sub, skus.mug, skus.pot),
      order(shy.sub, skus.tea, skus.pot),
    );
    expect(await alsoBought(mug)).toEqual([tea, pot]);
    expect(await alsoBought(tea)).toEqual([mug]);
    expect(await alsoBought(mug, undefined, 1)).toEqual([tea]);
    expect(await alsoBought(mug, fond.token)).toEqual([tea]);
    expect(await alsoBought(mug, shy.token)).toEqual([]);
    expect(await alsoBought(mug, undefined, 0)).toBe("BAD_USER_INPUT");
    for (let time = 0; time < 10; time++) await service.deliver(...(records as never[]));
    const { rows } = await service.admin.query(
      "SELECT orders FROM bought_together WHERE product_id = $1 AND other_id = $2",
      [mug, tea],
    );
    expect(rows).toEqual([{ orders: 2 }]);

    await service.deliver(agree(fond.sub, "RECOMMENDATIONS", false, 2));
    expect((await service.admin.query("SELECT FROM purchases WHERE customer_id = $1", [fond.sub])).rowCount).toBe(0);
    await service.deliver(product({ productId: tea, version: 2, published: false }));
    expect(await alsoBought(mug)).toEqual([pot]);
  });
});

describe("a cart that its owner left", () => {
  const idle = (who: Person, hours: number) =>
    service.admin.query("UPDATE carts SET touched_at = now() - make_interval(hours => $2) WHERE customer_id = $1", [
      who.sub,
      hours,
    ]);
  const tick = () => new Promise((resolve) => setTimeout(resolve, 200));

  it("is told of once, if the owner agreed", async () => {
    const [ada, silent, fresh] = [await person(), await person(), await person()];
    const skuId = newId();
    await service.deliver(product({ skuId, name: "Lamp" }));
    for (const who of [ada, silent, fresh]) await fill(who, { [skuId]: 2, [newId()]: 1 });
    await idle(ada, 25);
    await idle(silent, 25);
    await idle(fresh, 23);
    await service.deliver(agree(ada.sub, "CART_REMINDERS", true, 1), agree(fresh.sub, "CART_REMINDERS", true, 1));
    const told = async () =>
      (await service.emitted(cartAbandoned)).filter(({ data }) =>
        [ada, silent, fresh].some(({ sub }) => sub === data.customerId),
      );
    await until(async () => (await told()).length > 0, "a reminder");
    await tick();
    const cart = await cartOf(ada);
    expect((await told()).map(({ data, key, subject, sequence }) => ({ data, key, subject, sequence }))).toEqual([
      {
        data: { cartId: cart.id, customerId: ada.sub, lines: [{ skuId, name: "Lamp, blue", quantity: 2 }] },
        key: ada.sub,
        subject: cart.id,
        sequence: 1,
      },
    ]);
    await idle(ada, 48);
    await tick();
    expect(await told()).toHaveLength(1);
  });

  it("is removed after ninety days, and an ordered one sooner", async () => {
    const [ada, bob] = [await person(), await person()];
    const sku = newId();
    await fill(ada, { [sku]: 1 });
    const ordered = await fill(bob, { [sku]: 1 });
    await service.deliver(placed(bob.sub, ordered, { [sku]: 1 }));
    await idle(bob, 49);
    await until(async () => (await cartOf(bob, ordered)) === null, "the ordered cart's end");
    await idle(ada, 89 * 24);
    await tick();
    expect(linesOf(await cartOf(ada))).toEqual({ [sku]: 1 });
    await idle(ada, 91 * 24);
    await until(async () => (await cartOf(ada)).version === 0, "the idle cart's end");
  });
});

describe("a person who is forgotten", () => {
  it("leaves nothing, also of what arrives late", async () => {
    const [ada, guest] = [await person(), await person(["GUEST"])];
    const sku = newId();
    await fill(ada, { [sku]: 1 });
    await fill(guest, { [sku]: 1 });
    await service.deliver(agree(ada.sub, "RECOMMENDATIONS", true, 1), placed(ada.sub, undefined, { [sku]: 1 }));
    const [record] = await service.deliver(
      customerErased.create({ customerId: ada.sub, at: new Date().toISOString() }, { sequence: 2 }),
    );
    await service.deliver(
      agree(ada.sub, "CART_REMINDERS", true, 3),
      placed(ada.sub, undefined, { [sku]: 1 }),
      guestClaimed.create({ guestId: guest.sub, userId: ada.sub }, { sequence: 5 }),
      record as never,
    );
    for (const table of ["carts", "purchases", "consents"]) {
      const { rowCount } = await service.admin.query(`SELECT FROM ${table} WHERE customer_id = ANY($1)`, [
        [ada.sub, guest.sub],
      ]);
      expect({ table, rowCount }).toEqual({ table, rowCount: 0 });
    }
    await fill(ada, { [sku]: 1 });
    await until(
      async () => (await service.admin.query("SELECT FROM carts WHERE customer_id = $1", [ada.sub])).rowCount === 0,
      "the late cart's end",
    );
  });
});

describe("the start page", () => {
  it("is served at / and nothing else is", async () => {
    const response = await fetch(service.url);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(await response.text()).toContain('href="/graphql"');
    for (const path of ["/index.html", "/pages/start.html", "/..%2fpackage.json", "/cart"]) {
      expect({ path, status: (await fetch(service.url + path)).status }).toEqual({ path, status: 404 });
    }
  });
});
