import type { EventOf, EventToEmit } from "@crowdcrunch/events/contract";
import type { returnInspected } from "@crowdcrunch/events/exchanges";
import { stockRejected, stockReleased, stockReserved } from "@crowdcrunch/events/inventory";
import type { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import { PermanentError } from "@crowdcrunch/kit/errors";
import type { Reservation, Stock, StockRow } from "./stock.ts";
import { consume, release, reserve, runningLow, stockOf } from "./stock.ts";
import type { NewMovement, StockChanges } from "./store-stock.ts";

// What orders' instructions and returned goods do to the stock: what is held, given back, taken out and put back.

type Placed = EventOf<typeof orderPlaced>;
type Cancelled = EventOf<typeof orderCancelled>;
type Shipped = EventOf<typeof orderShipped>;
type Inspected = EventOf<typeof returnInspected>;

export type StockEvent = Placed | Cancelled | Shipped | Inspected;

/** What inventory holds for an order, and how many events it has told about it. */
export interface OrderStock {
  orderId: string;
  customerId: string;
  state: "RESERVED" | "REJECTED" | "UNKNOWN";
  version: number;
  /** Ids of cancellations and parcels that were applied. */
  settled: string[];
  reservations: Reservation[];
}

/** What a batch of events touches, as it stands before. */
export interface Holdings {
  /** At all locations. */
  stock: StockRow[];
  /** Those of the events' orders that are known. */
  orders: OrderStock[];
  /** Keys of the lines of returns that never came back before (see `returnedKey`). */
  cameBack: Iterable<string>;
  /** Where goods go that have no stock anywhere. */
  firstLocation: string | undefined;
}

export interface Decision {
  changes: StockChanges;
  events: EventToEmit[];
  /** SKUs whose availability may have changed. */
  runningLow: string[];
}

/** A batch in progress, on copies. */
interface Batch {
  stock: Stock;
  orders: Map<string, OrderStock>;
  cameBack: Set<string>;
  firstLocation: string | undefined;
  newId: () => string;
  changedOrders: Set<string>;
  reservations: Map<string, Reservation>;
  movements: NewMovement[];
  events: EventToEmit[];
}

/**
 * Applies the events in their order: what changes, and what is told. Leaves `holdings` as they are. Throws where more
 * units left than were held, and a PermanentError for what no repetition can mend; then nothing of the batch counts.
 */
export function decide(holdings: Holdings, events: StockEvent[], newId: () => string): Decision {
  const rows = new Map(holdings.stock.map((row) => [{ ...row }, row]));
  const batch: Batch = {
    stock: stockOf([...rows.keys()]),
    orders: new Map(holdings.orders.map((order) => [order.orderId, copyOf(order)])),
    cameBack: new Set(holdings.cameBack),
    firstLocation: holdings.firstLocation,
    newId,
    changedOrders: new Set(),
    reservations: new Map(),
    movements: [],
    events: [],
  };
  for (const event of events) apply(batch, event);

  const changed = [...batch.stock.values()].flat().filter((row) => {
    const was = rows.get(row);
    return was?.onHand !== row.onHand || was.reserved !== row.reserved;
  });
  const touched = new Set(changed.map(({ skuId }) => skuId));
  return {
    changes: {
      orders: [...batch.changedOrders].map((id) => batch.orders.get(id)!),
      reservations: [...batch.reservations.values()],
      stock: changed,
      movements: batch.movements,
    },
    events: batch.events,
    runningLow: runningLow(touched, stockOf(holdings.stock), batch.stock),
  };
}

export function returnedKey(line: { returnId: string; lineId: string; disposition: string }): string {
  return `${line.returnId} ${line.lineId} ${line.disposition}`;
}

function copyOf(order: OrderStock): OrderStock {
  return {
    ...order,
    settled: [...order.settled],
    reservations: order.reservations.map((reservation) => ({ ...reservation })),
  };
}

function apply(batch: Batch, event: StockEvent): void {
  switch (event.type) {
    case "orders.order-placed.v1":
      return hold(batch, event);
    case "orders.order-cancelled.v1":
      return giveBack(batch, event);
    case "orders.order-shipped.v1":
      return takeOut(batch, event);
    case "exchanges.return-inspected.v1":
      return putBack(batch, event);
  }
}

/** An order is decided once: the same order again is no other order. */
function hold(batch: Batch, { data: { orderId, customerId, lines } }: Placed): void {
  if (batch.orders.has(orderId)) return;
  const outcome = reserve(batch.stock, orderId, lines);
  const reservations = "short" in outcome ? [] : outcome.reservations;
  const state = "short" in outcome ? "REJECTED" : "RESERVED";
  batch.orders.set(orderId, { orderId, customerId, state, version: 1, settled: [], reservations });
  batch.changedOrders.add(orderId);
  for (const reservation of reservations) keep(batch, reservation);
  const onOrder = { orderId, customerId, version: 1 };
  if ("short" in outcome) {
    batch.events.push(stockRejected.create({ ...onOrder, lines: outcome.short }, { sequence: 1 }));
    return;
  }
  const told = reservations.map(({ lineId, skuId, locationId, quantity }) => ({ lineId, skuId, locationId, quantity }));
  batch.events.push(stockReserved.create({ ...onOrder, reservations: told }, { sequence: 1 }));
}

/** Every cancellation is answered, also where nothing was held. */
function giveBack(batch: Batch, { data: { orderId, customerId, cancellationId, lines } }: Cancelled): void {
  const order: OrderStock = batch.orders.get(orderId) ?? {
    orderId,
    customerId,
    state: "UNKNOWN",
    version: 0,
    settled: [],
    reservations: [],
  };
  batch.orders.set(orderId, order);
  if (!settle(batch, order, cancellationId)) return;
  const given = lines.flatMap(({ lineId, skuId, quantity }) => {
    const units = release(batch.stock, order.reservations, lineId, quantity);
    return units > 0 ? [{ lineId, skuId, quantity: units }] : [];
  });
  for (const reservation of order.reservations) keep(batch, reservation);
  order.version += 1;
  const data = { orderId, customerId, version: order.version, cancellationId, lines: given };
  batch.events.push(stockReleased.create(data, { sequence: order.version }));
}

function takeOut(batch: Batch, { id, data: { orderId, shipmentId = id, lines } }: Shipped): void {
  const physical = lines.filter(({ digital }) => !digital);
  if (physical.length === 0) return;
  const order = batch.orders.get(orderId);
  if (!order) throw new PermanentError(`order ${orderId} was never placed here`);
  if (!settle(batch, order, shipmentId)) return;
  for (const line of physical) {
    const movements = consume(batch.stock, order.reservations, line, shipmentId);
    for (const movement of movements) batch.movements.push({ ...movement, id: batch.newId(), actor: null });
  }
  for (const reservation of order.reservations) keep(batch, reservation);
}

/** Goods that can be sold again go back to where most of them are; what is written off never comes back into stock. */
function putBack(batch: Batch, { data: { returnId, lines } }: Inspected): void {
  for (const { lineId, skuId, quantity, disposition } of lines) {
    // The same return may stand in the batch twice.
    if (!batch.cameBack.delete(returnedKey({ returnId, lineId, disposition })) || disposition !== "RESTOCK") continue;
    const [row] = [...(batch.stock.get(skuId) ?? [])].sort((a, b) => b.onHand - a.onHand);
    const locationId = row?.locationId ?? batch.firstLocation;
    if (!locationId) throw new PermanentError("there is no location to put returned goods");
    if (row) row.onHand += quantity;
    else batch.stock.set(skuId, [{ skuId, locationId, onHand: quantity, reserved: 0 }]);
    const reason = "RETURN" as const;
    const id = batch.newId();
    batch.movements.push({ id, skuId, locationId, quantity, reason, reference: returnId, lineId, actor: null });
  }
}

/** Notes that a cancellation or parcel was applied; false where it was before. */
function settle(batch: Batch, order: OrderStock, id: string): boolean {
  if (order.settled.includes(id)) return false;
  order.settled.push(id);
  batch.changedOrders.add(order.orderId);
  return true;
}

function keep(batch: Batch, reservation: Reservation): void {
  const { orderId, lineId, locationId } = reservation;
  batch.reservations.set(`${orderId} ${lineId} ${locationId}`, reservation);
}
