import { deepFreeze, expectSame, fate, idsFrom, storedState } from "@crowdcrunch/kit/testing/crashes";
import type { Fate } from "@crowdcrunch/kit/testing/crashes";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { OrderStock, StockEvent } from "./reservation.ts";
import { decide, returnedKey } from "./reservation.ts";
import type { StockRow } from "./stock.ts";
import type { NewMovement } from "./store-stock.ts";

const uuid = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const skuIds = [uuid(1), uuid(2), uuid(3)];
const locationIds = [uuid(11), uuid(12)];

interface Line {
  lineId: string;
  skuId: string;
  quantity: number;
  digital: boolean;
}
const ordered = fc.array(
  fc.array(
    fc.record({
      sku: fc.nat(2),
      quantity: fc.integer({ min: 1, max: 8 }),
      digital: fc.constantFrom(false, false, true),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  { minLength: 3, maxLength: 3 },
);
const shelves = fc.uniqueArray(
  fc.record({
    skuId: fc.constantFrom(...skuIds),
    locationId: fc.constantFrom(...locationIds),
    onHand: fc.integer({ min: 0, max: 12 }),
  }),
  { selector: (row) => row.skuId + row.locationId },
);

/** Something that orders or exchanges tell of one of the orders. The ids are few, so that they come again. */
interface Told {
  what: "placed" | "cancelled" | "shipped" | "returned";
  order: number;
  /** Of the order's lines. */
  quantities: number[];
  /** Of the cancellation, parcel or return. */
  id: number;
  disposition: "RESTOCK" | "WRITE_OFF" | "REFUSED";
}
const told: fc.Arbitrary<Told> = fc.record({
  what: fc.constantFrom("placed", "placed", "cancelled", "shipped", "shipped", "returned"),
  order: fc.nat(2),
  quantities: fc.array(fc.nat(6), { minLength: 3, maxLength: 3 }),
  id: fc.nat(3),
  disposition: fc.constantFrom("RESTOCK", "WRITE_OFF", "REFUSED"),
});

function eventOf(lines: Line[], { what, order, quantities, id, disposition }: Told): StockEvent {
  const some = lines.map((line, index) => ({ ...line, quantity: quantities[index]! })).filter((line) => line.quantity);
  const [type, data] = {
    placed: ["orders.order-placed.v1", { lines }],
    cancelled: ["orders.order-cancelled.v1", { lines: some, cancellationId: uuid(200 + order * 10 + id) }],
    shipped: ["orders.order-shipped.v1", { lines: some, shipmentId: uuid(300 + order * 10 + id) }],
    returned: [
      "exchanges.return-inspected.v1",
      { lines: some.map((line) => ({ ...line, disposition })), returnId: uuid(400 + order * 10 + id) },
    ],
  }[what] as [string, object];
  const onOrder = { orderId: uuid(100 + order), customerId: uuid(99), version: 1 };
  return deepFreeze({ id: uuid(500), type, data: { ...onOrder, ...data } } as unknown as StockEvent);
}

/** What the tables hold. */
interface Stored {
  stock: StockRow[];
  orders: OrderStock[];
  returned: string[];
  movements: NewMovement[];
}

/** Loads what the events touch, decides and saves, as commands-events.ts and the store do. */
function handle(stored: Stored, events: StockEvent[], newId: () => string) {
  const skus = new Set(events.flatMap(({ data }) => (data.lines as Line[]).map(({ skuId }) => skuId)));
  const keys = events.flatMap((event) =>
    event.type !== "exchanges.return-inspected.v1"
      ? []
      : event.data.lines
          .filter(({ disposition }) => disposition !== "REFUSED")
          .map((line) => returnedKey({ ...line, returnId: event.data.returnId })),
  );
  const cameBack = new Set(keys.filter((key) => !stored.returned.includes(key)));
  const { changes, events: answers } = decide(
    deepFreeze({
      stock: stored.stock.filter(({ skuId }) => skus.has(skuId)),
      orders: stored.orders.filter(({ orderId }) => events.some(({ data }) => data.orderId === orderId)),
      cameBack: [...cameBack],
      firstLocation: locationIds[0],
    }),
    events,
    newId,
  );
  stored.returned.push(...cameBack);
  stored.movements.push(...changes.movements);
  const replace = <Row>(rows: Row[], changed: Row[], keyOf: (row: Row) => string) => [
    ...rows.filter((row) => !changed.some((other) => keyOf(other) === keyOf(row))),
    ...changed,
  ];
  stored.stock = replace(stored.stock, changes.stock, (row) => row.skuId + row.locationId);
  // Reservations have a table of their own: those of an order are what was written of them, not what it carries.
  stored.orders = replace(stored.orders, changes.orders, ({ orderId }) => orderId).map((order) => {
    const before = stored.orders.find(({ orderId }) => orderId === order.orderId)?.reservations ?? [];
    const written = changes.reservations.filter(({ orderId }) => orderId === order.orderId);
    return { ...order, reservations: replace(before, written, (row) => row.lineId + row.locationId) };
  });
  return answers;
}

/** The same in plain numbers: units of articles and of lines, wherever they lie. */
interface Model {
  skus: Record<string, { onHand: number; held: number; sold: number }>;
  orders: Record<string, { version: number; held: Record<string, number> }>;
  /** Cancellations, parcels and lines of returns that were applied. */
  done: Record<string, true>;
}

/** Applies an event to the model. Returns what is answered: the kind, its version and units by line. Throws where units leave that are not held. */
function follow(model: Model, { type, data }: StockEvent): [string, number, Record<string, number>][] {
  const order = model.orders[data.orderId];
  const first = (key: string) => !model.done[key] && (model.done[key] = true);
  switch (type) {
    case "orders.order-placed.v1": {
      if (order) return [];
      const held: Record<string, number> = {};
      const short: Record<string, number> = {};
      const wanted: Record<string, number> = {};
      for (const { lineId, skuId, quantity } of data.lines.filter(({ digital }) => !digital)) {
        const sku = model.skus[skuId]!;
        const free = sku.onHand - sku.held - (wanted[skuId] ?? 0);
        if (quantity > free) short[lineId] = free;
        else wanted[skuId] = (wanted[skuId] ?? 0) + (held[lineId] = quantity);
      }
      const isShort = Object.keys(short).length > 0;
      model.orders[data.orderId] = { version: 1, held: isShort ? {} : held };
      if (!isShort) for (const skuId in wanted) model.skus[skuId]!.held += wanted[skuId]!;
      return isShort ? [["stock-rejected", 1, short]] : [["stock-reserved", 1, { ...held }]];
    }
    case "orders.order-cancelled.v1": {
      const known = (model.orders[data.orderId] ??= { version: 0, held: {} });
      if (!first(data.cancellationId)) return [];
      const given: Record<string, number> = {};
      for (const { lineId, skuId, quantity } of data.lines) {
        const units = Math.min(quantity, known.held[lineId] ?? 0);
        if (units === 0) continue;
        given[lineId] = units;
        known.held[lineId]! -= units;
        model.skus[skuId]!.held -= units;
      }
      return [["stock-released", (known.version += 1), given]];
    }
    case "orders.order-shipped.v1": {
      const physical = data.lines.filter(({ digital }) => !digital);
      if (physical.length === 0) return [];
      if (!order) throw new Error("never placed");
      if (!first(data.shipmentId!)) return [];
      for (const { lineId, skuId, quantity } of physical) {
        if (quantity > (order.held[lineId] ?? 0)) throw new Error("not held");
        order.held[lineId]! -= quantity;
        const sku = model.skus[skuId]!;
        sku.held -= quantity;
        sku.onHand -= quantity;
        sku.sold += quantity;
      }
      return [];
    }
    case "exchanges.return-inspected.v1": {
      for (const { lineId, skuId, quantity, disposition } of data.lines) {
        if (disposition === "REFUSED" || !first(returnedKey({ returnId: data.returnId, lineId, disposition })))
          continue;
        if (disposition === "RESTOCK") model.skus[skuId]!.onHand += quantity;
        if (disposition === "RESTOCK") model.skus[skuId]!.sold -= quantity;
      }
      return [];
    }
  }
}

interface Answer {
  reservations?: { lineId: string; quantity: number }[];
  lines?: { lineId: string; quantity?: number; available?: number }[];
}

function unitsByLine({ lines = [], reservations = [] }: Answer): Record<string, number> {
  const units: Record<string, number> = {};
  for (const { lineId, quantity } of reservations) units[lineId] = (units[lineId] ?? 0) + quantity;
  for (const { lineId, quantity, available } of lines) units[lineId] = quantity ?? available!;
  return units;
}

const total = <Row>(rows: Row[], unitsOf: (row: Row) => number) => rows.reduce((sum, row) => sum + unitsOf(row), 0);

function compare({ stock, orders, movements }: Stored, model: Model): void {
  for (const row of stock) {
    expectSame(row.onHand >= row.reserved && row.reserved >= 0, true);
    const active = orders
      .flatMap(({ reservations }) => reservations)
      .filter(({ skuId, locationId }) => skuId === row.skuId && locationId === row.locationId);
    expectSame(
      row.reserved,
      total(active, (each) => each.quantity - each.consumed - each.released),
    );
  }
  for (const skuId of skuIds) {
    const own = stock.filter((row) => row.skuId === skuId);
    const moved = movements.filter((movement) => movement.skuId === skuId);
    expectSame(
      {
        onHand: total(own, (row) => row.onHand),
        held: total(own, (row) => row.reserved),
        sold: 0 - total(moved, (each) => each.quantity),
      },
      model.skus[skuId],
    );
  }
  const held = orders.map(({ orderId, version, reservations }) => {
    const lines: Record<string, number> = {};
    for (const { lineId, quantity, consumed, released } of reservations)
      lines[lineId] = (lines[lineId] ?? 0) + quantity - consumed - released;
    return [orderId, { version, held: lines }];
  });
  expectSame(Object.fromEntries(held), model.orders);
}

test("whatever is told, repeated and lost: units on hand, held and sold are those of the simple sum", () => {
  const batches = fc.array(fc.tuple(fc.array(told, { minLength: 1, maxLength: 4 }), fate), { maxLength: 12 });
  fc.assert(
    fc.property(shelves, ordered, batches, (rows, orders, runs) => {
      const lines = orders.map((list, order) =>
        list.map((line, index) => ({ ...line, lineId: uuid(600 + order * 10 + index), skuId: skuIds[line.sku]! })),
      );
      const stock = rows.map((row) => ({ ...row, reserved: 0 }));
      const real = storedState<Stored>({ stock, orders: [], returned: [], movements: [] });
      const sums = skuIds.map((id) => [
        id,
        {
          onHand: total(
            rows.filter(({ skuId }) => skuId === id),
            ({ onHand }) => onHand,
          ),
          held: 0,
          sold: 0,
        },
      ]);
      let model: Model = { skus: Object.fromEntries(sums), orders: {}, done: {} };

      const deliver = (events: StockEvent[], seed: number, how: Fate): void => {
        const after = structuredClone(model);
        let expected: ReturnType<typeof follow> | undefined;
        try {
          expected = events.flatMap((event) => follow(after, event));
        } catch {
          expect(() => real.transact(how, (stored) => handle(stored, events, idsFrom(seed)))).toThrow(
            /left|never placed/,
          );
          // As the consumer does: those of a failed batch one by one.
          return events.length > 1 ? events.forEach((event) => deliver([event], seed + 1, how)) : undefined;
        }
        const answers = real.transact(
          how,
          (stored) => handle(stored, events, idsFrom(seed)),
          (again) => expectSame(again, []),
        );
        model = after;
        expectSame(
          answers.map(({ type, sequence, data }) => [type.split(".")[1], sequence, unitsByLine(data as Answer)]),
          expected,
        );
      };
      for (const [index, [batch, how]] of runs.entries()) {
        const events = batch.map((one) => eventOf(lines[one.order]!, one));
        deliver(events, index * 2, how);
        compare(real.state, model);
      }
    }),
    { numRuns: 3_000 },
  );
}, 120_000);
