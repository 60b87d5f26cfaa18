import { availabilityChanged, stockRejected, stockReleased, stockReserved } from "@crowdcrunch/events/inventory";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importAll, move, newId, openInventory, order, stocked, unitsOf } from "./stock-world.ts";

let service: TestService;
let staff: string;

beforeAll(async () => {
  service = await openInventory();
  staff = await service.signToken({ roles: ["STAFF"] });
});
afterAll(() => service?.stop());

const answersTo = async (orderId: string) => (await service.emitted()).filter((event) => event.subject === orderId);
const parked = async () => (await service.admin.query("SELECT reason FROM parked")).rows;

describe("an order's lines", () => {
  test("are reserved all or none", async () => {
    const [plenty, scarce] = [await stocked(service, staff, 100), await stocked(service, staff, 2)];
    const good = order([
      { ...plenty, quantity: 3 },
      { ...scarce, quantity: 2 },
    ]);
    const bad = order([
      { ...plenty, quantity: 1 },
      { ...scarce, quantity: 1 },
    ]);
    await service.deliver(good.placed());
    await service.deliver(bad.placed());

    const [reserved] = (await service.emitted(stockReserved)).filter(({ subject }) => subject === good.orderId);
    expect(reserved).toMatchObject({ sequence: 1, key: good.orderId, data: { version: 1 } });
    expect(reserved!.data.reservations.map(({ lineId, quantity }) => [lineId, quantity])).toEqual(
      good.lines.map(({ lineId, quantity }) => [lineId, quantity]),
    );
    const [rejected] = (await service.emitted(stockRejected)).filter(({ subject }) => subject === bad.orderId);
    expect(rejected?.data.lines).toEqual([{ lineId: bad.lines[1]!.lineId, requested: 1, available: 0 }]);
    expect(await unitsOf(service, plenty.skuId)).toEqual({ onHand: 100, reserved: 3, moved: 100, held: 3 });
    expect(await unitsOf(service, scarce.skuId)).toEqual({ onHand: 2, reserved: 2, moved: 2, held: 2 });
  });

  test("of one article count together, and what is short is told line by line", async () => {
    const article = await stocked(service, staff, 5);
    const twice = order([
      { ...article, quantity: 4 },
      { ...article, quantity: 3 },
    ]);
    await service.deliver(twice.placed());
    const [rejected] = (await service.emitted(stockRejected)).filter(({ subject }) => subject === twice.orderId);
    expect(rejected?.data.lines).toEqual([{ lineId: twice.lines[1]!.lineId, requested: 3, available: 1 }]);

    const fits = order([
      { ...article, quantity: 2 },
      { ...article, quantity: 3 },
    ]);
    await service.deliver(fits.placed());
    expect(await unitsOf(service, article.skuId)).toMatchObject({ reserved: 5, held: 5 });
  });

  test("are spread over locations when no single one has enough", async () => {
    const article = await stocked(service, staff, 3);
    await service.admin.query(
      `INSERT INTO locations (id, code, name) VALUES ($1, 'annex', 'Annex') ON CONFLICT DO NOTHING`,
      [newId()],
    );
    await move(service, staff, { skuId: article.skuId, location: "annex", quantity: 4 });
    const whole = order([{ ...article, quantity: 6 }]);
    await service.deliver(whole.placed());
    const [reserved] = (await service.emitted(stockReserved)).filter(({ subject }) => subject === whole.orderId);
    expect(reserved?.data.reservations).toHaveLength(2);
    expect(await unitsOf(service, article.skuId)).toMatchObject({ onHand: 7, reserved: 6, held: 6 });
    await service.deliver(whole.shipped([6]));
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 1, reserved: 0, moved: 1, held: 0 });
  });

  test("need no stock when they are digital", async () => {
    const digital = order([{ productId: newId(), skuId: newId(), quantity: 3, digital: true }]);
    await service.deliver(digital.placed());
    const [reserved] = (await service.emitted(stockReserved)).filter(({ subject }) => subject === digital.orderId);
    expect(reserved?.data.reservations).toEqual([]);
  });

  test("of an unknown article are rejected with none available", async () => {
    const unknown = order([{ productId: newId(), skuId: newId(), quantity: 1 }]);
    await service.deliver(unknown.placed());
    const [rejected] = (await service.emitted(stockRejected)).filter(({ subject }) => subject === unknown.orderId);
    expect(rejected?.data.lines).toEqual([{ lineId: unknown.lines[0]!.lineId, requested: 1, available: 0 }]);
  });

  test("1,000 of them are one reservation", async () => {
    const article = await stocked(service, staff, 5_000);
    const wholesale = order(Array.from({ length: 1_000 }, () => ({ ...article, quantity: 5 })));
    await service.deliver(wholesale.placed());
    expect(await unitsOf(service, article.skuId)).toEqual({
      onHand: 5_000,
      reserved: 5_000,
      moved: 5_000,
      held: 5_000,
    });
  });

  test("the last unit goes to exactly one of 100 buyers at once (Vendure #3508)", async () => {
    const [last, plenty] = [await stocked(service, staff, 1), await stocked(service, staff, 1_000)];
    const buyers = Array.from({ length: 100 }, () =>
      order([
        { ...last, quantity: 1 },
        { ...plenty, quantity: 1 },
      ]),
    );
    await service.deliver(...buyers.map((buyer) => buyer.placed()));
    const ids = new Set(buyers.map(({ orderId }) => orderId));
    const answers = (await service.emitted()).filter((event) => ids.has(event.subject));
    expect(answers).toHaveLength(100);
    expect(answers.filter(({ type }) => type === stockReserved.type)).toHaveLength(1);
    expect(await unitsOf(service, last.skuId)).toEqual({ onHand: 1, reserved: 1, moved: 1, held: 1 });
    expect(await unitsOf(service, plenty.skuId)).toEqual({ onHand: 1_000, reserved: 1, moved: 1_000, held: 1 });
  });
});

describe("cancellation, dispatch and return", () => {
  test("a cancellation gives back what is held, part by part, and is always answered", async () => {
    const article = await stocked(service, staff, 10);
    const bought = order([{ ...article, quantity: 5 }]);
    await service.deliver(bought.placed());
    const [first, second] = [newId(), newId()];
    await service.deliver(bought.cancelled([2], first));
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 10, reserved: 3, moved: 10, held: 3 });
    await service.deliver(bought.shipped([3]));
    await service.deliver(bought.cancelled([3], second));
    const released = (await service.emitted(stockReleased)).filter(({ subject }) => subject === bought.orderId);
    expect(released.map(({ sequence, data }) => [sequence, data.cancellationId, data.lines.length])).toEqual([
      [2, first, 1],
      [3, second, 0],
    ]);
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 7, reserved: 0, moved: 7, held: 0 });
  });

  test("placed, cancelled, shipped in one batch come out as one by one", async () => {
    const article = await stocked(service, staff, 10);
    const bought = order([{ ...article, quantity: 6 }]);
    await service.deliver(bought.placed(), bought.cancelled([2]), bought.shipped([4]));
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 6, reserved: 0, moved: 6, held: 0 });
    expect((await answersTo(bought.orderId)).map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  test("a rejected order that is cancelled is answered too", async () => {
    const article = await stocked(service, staff, 0);
    const bought = order([{ ...article, quantity: 1 }]);
    await service.deliver(bought.placed(), bought.cancelled([1]));
    expect((await answersTo(bought.orderId)).map(({ type }) => type)).toEqual([stockRejected.type, stockReleased.type]);
  });

  test("a cancellation of an order that was never placed here is answered with nothing", async () => {
    const article = await stocked(service, staff, 3);
    const unknown = order([{ ...article, quantity: 1 }]);
    await service.deliver(unknown.cancelled([1]));
    const [released] = (await service.emitted(stockReleased)).filter(({ subject }) => subject === unknown.orderId);
    expect(released?.data.lines).toEqual([]);
  });

  test("goods that came back are restocked or written off, once, and refused ones not at all", async () => {
    const article = await stocked(service, staff, 10);
    const bought = order([{ ...article, quantity: 6 }]);
    await service.deliver(bought.placed(), bought.shipped([6]));
    const returnId = newId();
    const lines = [
      { line: 0, quantity: 3, disposition: "RESTOCK" as const },
      { line: 0, quantity: 2, disposition: "WRITE_OFF" as const },
      { line: 0, quantity: 1, disposition: "REFUSED" as const },
    ];
    await service.deliver(bought.inspected(lines, returnId));
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 7, reserved: 0, moved: 7, held: 0 });
    await service.deliver(bought.inspected(lines, returnId));
    expect(await unitsOf(service, article.skuId)).toMatchObject({ onHand: 7, moved: 7 });
  });

  test("ten deliveries of each event have one effect", async () => {
    const article = await stocked(service, staff, 10);
    const bought = order([{ ...article, quantity: 5 }]);
    const records = [];
    for (const event of [bought.placed(), bought.cancelled([1]), bought.shipped([3])]) {
      records.push(...(await service.deliver(event)));
    }
    records.push(...(await service.deliver(bought.inspected([{ line: 0, quantity: 1, disposition: "RESTOCK" }]))));
    const before = [await unitsOf(service, article.skuId), await answersTo(bought.orderId)];
    for (let times = 1; times < 10; times++) await service.deliver(...records);
    expect([await unitsOf(service, article.skuId), await answersTo(bought.orderId)]).toEqual(before);
    expect(before[0]).toEqual({ onHand: 8, reserved: 1, moved: 8, held: 1 });
  });

  test("an instruction that comes again under another event id has no second effect", async () => {
    const article = await stocked(service, staff, 10);
    const bought = order([{ ...article, quantity: 6 }]);
    const [placed, cancelled, shipped] = [bought.placed(), bought.cancelled([1]), bought.shipped([2])];
    await service.deliver(placed, cancelled, shipped);
    const before = [await unitsOf(service, article.skuId), await answersTo(bought.orderId)];
    expect(before[0]).toEqual({ onHand: 8, reserved: 3, moved: 8, held: 3 });
    await service.deliver(placed);
    await service.deliver(cancelled);
    await service.deliver(shipped);
    expect([await unitsOf(service, article.skuId), await answersTo(bought.orderId)]).toEqual(before);
    expect(await parked()).toEqual([]);
  });

  test("more units dispatched than are held park the order's key, and nothing is clamped", async () => {
    const article = await stocked(service, staff, 10);
    const [greedy, other] = [order([{ ...article, quantity: 2 }]), order([{ ...article, quantity: 1 }])];
    await service.deliver(greedy.placed());
    await service.deliver(greedy.shipped([3]), other.placed());
    expect(await parked()).toHaveLength(1);
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 10, reserved: 3, moved: 10, held: 3 });
    await service.admin.query("DELETE FROM parked");
  });
});

describe("availability", () => {
  test("is told when it goes over a threshold, and only then, in versions without a gap", async () => {
    const article = await stocked(service, staff, 20);
    const bought = order([{ ...article, quantity: 10 }]);
    await service.deliver(bought.placed());
    const low = order([{ ...article, quantity: 8 }]);
    await service.deliver(low.placed());
    const rest = order([{ ...article, quantity: 2 }]);
    await service.deliver(rest.placed());
    await service.deliver(bought.cancelled([10]));
    const told = (await service.emitted(availabilityChanged)).filter(({ subject }) => subject === article.skuId);
    expect(told.map(({ sequence, data }) => [sequence, data.version, data.availability])).toEqual([
      [1, 1, "IN_STOCK"],
      [2, 2, "LOW_STOCK"],
      [3, 3, "OUT_OF_STOCK"],
      [4, 4, "IN_STOCK"],
    ]);
    expect(told[0]?.key).toBe(article.productId);
  });

  test("is told for a new article that has no stock", async () => {
    const article = await stocked(service, staff, 0);
    const told = (await service.emitted(availabilityChanged)).filter(({ subject }) => subject === article.skuId);
    expect(told.map(({ data }) => data.availability)).toEqual(["OUT_OF_STOCK"]);
  });
});

describe("moveStock", () => {
  test("adds, takes what nobody has reserved, and once for a key", async () => {
    const article = await stocked(service, staff, 10);
    await service.deliver(order([{ ...article, quantity: 7 }]).placed());
    const input = { idempotencyKey: newId(), skuId: article.skuId, quantity: -3, reason: "LOSS" };
    expect(await move(service, staff, input)).toMatchObject({ sku: { availability: "OUT_OF_STOCK" } });
    expect(await move(service, staff, input)).toMatchObject({ __typename: "StockMoved" });
    expect(await unitsOf(service, article.skuId)).toEqual({ onHand: 7, reserved: 7, moved: 7, held: 7 });
    expect(await move(service, staff, { ...input, quantity: -1 })).toMatchObject({ __typename: "KeyReused" });
    expect(await move(service, staff, { ...input, idempotencyKey: newId(), quantity: -1 })).toMatchObject({
      __typename: "NotPossible",
    });
    expect(await unitsOf(service, article.skuId)).toMatchObject({ onHand: 7, moved: 7 });
  });

  test.each([
    ["zero", { quantity: 0 }, "quantity"],
    ["a negative receipt", { quantity: -1 }, "quantity"],
    ["a positive loss", { quantity: 1, reason: "LOSS" }, "quantity"],
    ["a huge quantity", { quantity: 2_000_000_000 }, "quantity"],
    ["an unknown location", { quantity: 1, location: "nowhere" }, "location"],
    ["a malformed id", { quantity: 1, skuId: "one" }, "skuId"],
    ["a malformed key", { quantity: 1, idempotencyKey: "one" }, "idempotencyKey"],
  ])("refuses %s", async (_, change, field) => {
    const article = await stocked(service, staff, 10);
    expect(await move(service, staff, { skuId: article.skuId, ...change })).toMatchObject({
      __typename: "InvalidInput",
      field,
    });
    expect(await unitsOf(service, article.skuId)).toMatchObject({ onHand: 10, moved: 10 });
  });

  test("refuses fractions, and an article that does not exist", async () => {
    const article = await stocked(service, staff, 10);
    await expect(move(service, staff, { skuId: article.skuId, quantity: 1.5 })).rejects.toThrow(/Int/);
    expect(await move(service, staff, { skuId: newId(), quantity: 1 })).toMatchObject({ __typename: "NotFound" });
  });

  test("races with buyers without overselling", async () => {
    const article = await stocked(service, staff, 30);
    const buyers = Array.from({ length: 40 }, () => order([{ ...article, quantity: 1 }]));
    const moves = Array.from({ length: 10 }, () =>
      move(service, staff, { skuId: article.skuId, quantity: -1, reason: "CORRECTION" }),
    );
    await Promise.all([service.deliver(...buyers.map((buyer) => buyer.placed())), ...moves]);
    const units = await unitsOf(service, article.skuId);
    expect(units.reserved).toBe(units.held);
    expect(units.onHand).toBe(units.moved);
    expect(units.onHand).toBe(units.reserved);
  });

  test("a receipt at a new location races with buyers and availability stays true", async () => {
    await service.admin.query(
      `INSERT INTO locations (id, code, name) VALUES ($1, 'annex', 'Annex') ON CONFLICT DO NOTHING`,
      [newId()],
    );
    for (let round = 0; round < 8; round++) {
      const article = await stocked(service, staff, 1);
      await Promise.all([
        service.deliver(order([{ ...article, quantity: 1 }]).placed()),
        move(service, staff, { skuId: article.skuId, location: "annex", quantity: 50 }),
      ]);
      const { rows } = await service.admin.query("SELECT availability FROM skus WHERE id = $1", [article.skuId]);
      expect(rows[0].availability).toBe("IN_STOCK");
    }
  });
});

describe("the ledger", () => {
  test("refuses UPDATE and DELETE to the service's role", async () => {
    for (const statement of ["UPDATE movements SET quantity = 1", "DELETE FROM movements"]) {
      await expect(service.db.query(`${statement.replace("movements", "inventory.movements")}`)).rejects.toThrow(
        /permission denied/,
      );
    }
  });

  test("stock outside 0 ≤ reserved ≤ on hand is refused by the database", async () => {
    const article = await stocked(service, staff, 5);
    for (const set of ["on_hand = -1", "reserved = -1", "reserved = 6"]) {
      await expect(service.admin.query(`UPDATE stock SET ${set} WHERE sku_id = $1`, [article.skuId])).rejects.toThrow(
        /stock_sums/,
      );
    }
  });
});

describe("importProducts", () => {
  const product = (code: string, change: object = {}) => ({
    code,
    name: "WHITE HANGING HEART",
    prices: [{ currency: "GBP", amountMinor: 255 }],
    stock: 7,
    ...change,
  });

  test("tells codes apart that differ by case alone, and a second run changes nothing", async () => {
    const input = [product("85123A"), product("85123a")];
    const first = await importAll(service, staff, input);
    expect(first).toMatchObject({
      created: 2,
      products: [{ skus: [{ code: "85123A" }] }, { skus: [{ code: "85123a" }] }],
    });
    const [events, { rows: movements }] = [
      (await service.emitted()).length,
      await service.admin.query("SELECT count(*) FROM movements"),
    ];
    const second = await importAll(service, staff, input);
    expect(second).toEqual({ ...first, created: 0 });
    expect((await service.emitted()).length).toBe(events);
    expect((await service.admin.query("SELECT count(*) FROM movements")).rows).toEqual(movements);
  });

  test("500 at a time, two importers at once, each article once", async () => {
    const many = Array.from({ length: 500 }, (_, index) => product(`BULK-${index}`));
    const [one, two] = await Promise.all([importAll(service, staff, many), importAll(service, staff, many)]);
    expect(one.created + two.created).toBe(500);
    expect(one.products).toEqual(two.products);
  });

  test.each([
    ["none", [], "products"],
    ["501", Array.from({ length: 501 }, (_, index) => product(`X-${index}`)), "products"],
    ["a code twice", [product("TWICE"), product("TWICE")], "products[1].code"],
    ["an empty name", [product("E1", { name: " " })], "products[0].name"],
    ["negative stock", [product("E2", { stock: -1 })], "products[0].stock"],
    [
      "a currency that the shop does not sell in",
      [product("E3", { prices: [{ currency: "CHF", amountMinor: 1 }] })],
      "products[0].prices[0].currency",
    ],
    [
      "a negative price",
      [product("E4", { prices: [{ currency: "GBP", amountMinor: -1 }] })],
      "products[0].prices[0].amountMinor",
    ],
  ])("refuses %s", async (_, products, field) => {
    expect(await importAll(service, staff, products)).toMatchObject({ __typename: "InvalidInput", field });
  });
});
