import type { EventOf } from "@crowdcrunch/events/contract";
import type { returnInspected } from "@crowdcrunch/events/exchanges";
import { stockRejected, stockReleased, stockReserved } from "@crowdcrunch/events/inventory";
import type { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import type { Transaction } from "@crowdcrunch/kit/database";
import { PermanentError } from "@crowdcrunch/kit/errors";
import { announceAvailability, runningLow } from "./commands-stock.ts";
import type { Reservation, Stock } from "./stock.ts";
import { consume, release, reserve, stockOf } from "./stock.ts";
import type { NewMovement, OrderStock } from "./store-stock.ts";
import {
  findLocation,
  lockOrderStock,
  lockSkuStock,
  returnedKey,
  saveStockChanges,
  takeReturned,
} from "./store-stock.ts";

type Placed = EventOf<typeof orderPlaced>;
type Cancelled = EventOf<typeof orderCancelled>;
type Shipped = EventOf<typeof orderShipped>;
type Inspected = EventOf<typeof returnInspected>;

export type StockEvent = Placed | Cancelled | Shipped | Inspected;

/** A batch of events in progress: all stock that it touches, locked and in memory. */
interface Batch {
  tx: Transaction;
  stock: Stock;
  orders: Map<string, OrderStock>;
  changedOrders: Set<string>;
  reservations: Map<string, Reservation>;
  movements: NewMovement[];
  /** Lines of returns that were not known before this batch. */
  cameBack: Set<string>;
  /** Where goods go that have no stock anywhere. */
  firstLocation: string | undefined;
  newId: () => string;
}

/** Orders' instructions and returned goods, a batch at a time: what to hold, give back, take out and put back. */
export function createEventCommands({ newId }: { newId: () => string }) {
  return {
    async moveStock(tx: Transaction, events: StockEvent[]): Promise<void> {
      const returns = events.filter((event) => event.type === "exchanges.return-inspected.v1");
      const instructions = events.filter((event) => event.type !== "exchanges.return-inspected.v1");
      const [orders, rows, cameBack, firstLocation] = await Promise.all([
        lockOrderStock(tx, {
          orderIds: instructions.map(({ data }) => data.orderId),
          withReservations: instructions.some(({ type }) => type !== "orders.order-placed.v1"),
        }),
        lockSkuStock(tx, events.flatMap(skusIn)),
        takeReturned(tx, returns.flatMap(linesToTake)),
        returns.length === 0 ? undefined : findLocation(tx, null),
      ]);
      const before = new Map(rows.map((row) => [row, { ...row }]));
      const batch: Batch = {
        tx,
        stock: stockOf(rows),
        orders,
        changedOrders: new Set(),
        reservations: new Map(),
        movements: [],
        cameBack,
        firstLocation,
        newId,
      };
      for (const event of events) apply(batch, event);

      const changed = [...batch.stock.values()].flat().filter((row) => {
        const was = before.get(row);
        return was?.onHand !== row.onHand || was.reserved !== row.reserved;
      });
      await saveStockChanges(tx, {
        orders: [...batch.changedOrders].map((id) => batch.orders.get(id)!),
        reservations: [...batch.reservations.values()],
        stock: changed,
        movements: batch.movements,
      });
      const touched = new Set(changed.map(({ skuId }) => skuId));
      await announceAvailability(tx, runningLow(touched, stockOf([...before.values()]), batch.stock));
    },
  };
}

function skusIn(event: StockEvent): string[] {
  const lines = event.data.lines as { skuId: string; digital?: boolean }[];
  return lines.filter(({ digital }) => digital !== true).map(({ skuId }) => skuId);
}

function linesToTake({ data: { returnId, lines } }: Inspected) {
  return lines
    .filter(({ disposition }) => disposition !== "REFUSED")
    .map(({ lineId, disposition, quantity }) => ({ returnId, lineId, disposition, quantity }));
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
    batch.tx.emit(stockRejected.create({ ...onOrder, lines: outcome.short }, { sequence: 1 }));
    return;
  }
  const told = reservations.map(({ lineId, skuId, locationId, quantity }) => ({ lineId, skuId, locationId, quantity }));
  batch.tx.emit(stockReserved.create({ ...onOrder, reservations: told }, { sequence: 1 }));
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
  batch.tx.emit(stockReleased.create(data, { sequence: order.version }));
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
