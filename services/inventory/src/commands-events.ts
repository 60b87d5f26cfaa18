import type { EventOf } from "@crowdcrunch/events/contract";
import type { returnInspected } from "@crowdcrunch/events/exchanges";
import { stockRejected, stockReleased, stockReserved } from "@crowdcrunch/events/inventory";
import type { orderCancelled, orderPlaced, orderShipped } from "@crowdcrunch/events/orders";
import type { Transaction } from "@crowdcrunch/kit/database";
import { PermanentError } from "@crowdcrunch/kit/errors";
import { announceAvailability } from "./commands-stock.ts";
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

export type StockEvent = EventOf<
  typeof orderPlaced | typeof orderCancelled | typeof orderShipped | typeof returnInspected
>;

/** A batch of events in progress: all stock that it touches, locked and in memory. */
interface Batch {
  tx: Transaction;
  stock: Stock;
  orders: Map<string, OrderStock>;
  changedOrders: Set<string>;
  reservations: Map<string, Reservation>;
  movements: NewMovement[];
  newId: () => string;
}

/** Orders' instructions and returned goods, a batch at a time: what to hold, give back, take out and put back. */
export function createEventCommands({ newId }: { newId: () => string }) {
  return {
    async moveStock(tx: Transaction, events: StockEvent[]): Promise<void> {
      const known = events.filter(
        (event) => event.type !== "orders.order-placed.v1" && event.type !== "exchanges.return-inspected.v1",
      );
      const orders = await lockOrderStock(
        tx,
        known.map((event) => event.data.orderId),
      );
      const skuIds = [
        ...events.flatMap(skusIn),
        ...[...orders.values()].flatMap((order) => order.reservations.map(({ skuId }) => skuId)),
      ];
      const rows = await lockSkuStock(tx, skuIds);
      const before = new Map(rows.map((row) => [`${row.skuId} ${row.locationId}`, `${row.onHand} ${row.reserved}`]));
      const batch: Batch = {
        tx,
        stock: stockOf(rows),
        orders,
        changedOrders: new Set(),
        reservations: new Map(),
        movements: [],
        newId,
      };
      for (const event of events) await apply(batch, event);
      const all = [...batch.stock.values()].flat();
      await saveStockChanges(tx, {
        orders: [...batch.changedOrders].map((id) => batch.orders.get(id)!),
        reservations: [...batch.reservations.values()],
        stock: all.filter((row) => before.get(`${row.skuId} ${row.locationId}`) !== `${row.onHand} ${row.reserved}`),
        movements: batch.movements,
      });
      await announceAvailability(tx, batch.stock);
    },
  };
}

function skusIn(event: StockEvent): string[] {
  switch (event.type) {
    case "orders.order-placed.v1":
      return event.data.lines.filter((line) => !line.digital).map(({ skuId }) => skuId);
    case "exchanges.return-inspected.v1":
      return event.data.lines.map(({ skuId }) => skuId);
    default:
      return [];
  }
}

async function apply(batch: Batch, event: StockEvent): Promise<void> {
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

function hold(batch: Batch, event: EventOf<typeof orderPlaced>): void {
  const { orderId, customerId, lines } = event.data;
  const outcome = reserve(batch.stock, orderId, lines);
  const reservations = "short" in outcome ? [] : outcome.reservations;
  batch.orders.set(orderId, {
    orderId,
    customerId,
    state: "short" in outcome ? "REJECTED" : "RESERVED",
    version: 1,
    reservations,
  });
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
function giveBack(batch: Batch, event: EventOf<typeof orderCancelled>): void {
  const order = orderOf(batch, event.data.orderId);
  const lines = event.data.lines.flatMap(({ lineId, skuId, quantity }) => {
    const given = release(batch.stock, order.reservations, lineId, quantity);
    return given > 0 ? [{ lineId, skuId, quantity: given }] : [];
  });
  for (const reservation of order.reservations) keep(batch, reservation);
  order.version += 1;
  batch.changedOrders.add(order.orderId);
  const { orderId, customerId, cancellationId } = event.data;
  batch.tx.emit(
    stockReleased.create(
      { orderId, customerId, version: order.version, cancellationId, lines },
      { sequence: order.version },
    ),
  );
}

function takeOut(batch: Batch, event: EventOf<typeof orderShipped>): void {
  const physical = event.data.lines.filter((line) => !line.digital);
  if (physical.length === 0) return;
  const order = orderOf(batch, event.data.orderId);
  for (const line of physical) {
    const movements = consume(batch.stock, order.reservations, line, event.data.shipmentId ?? event.id);
    for (const movement of movements) batch.movements.push({ ...movement, id: batch.newId(), actor: null });
  }
  for (const reservation of order.reservations) keep(batch, reservation);
}

/** Goods that can be sold again go back to where most of them are; what is written off never comes back into stock. */
async function putBack(batch: Batch, event: EventOf<typeof returnInspected>): Promise<void> {
  const { returnId, lines } = event.data;
  const known = lines
    .filter((line) => line.disposition !== "REFUSED")
    .map(({ lineId, disposition, quantity }) => ({ returnId, lineId, disposition, quantity }));
  const fresh = await takeReturned(batch.tx, known);
  for (const { lineId, skuId, quantity, disposition } of lines) {
    if (disposition !== "RESTOCK" || !fresh.has(returnedKey({ returnId, lineId, disposition }))) continue;
    const [row] = [...(batch.stock.get(skuId) ?? [])].sort((a, b) => b.onHand - a.onHand);
    const locationId = row?.locationId ?? (await findLocation(batch.tx, null));
    if (!locationId) throw new PermanentError("there is no location to put returned goods");
    if (row) row.onHand += quantity;
    else batch.stock.set(skuId, [{ skuId, locationId, onHand: quantity, reserved: 0 }]);
    batch.movements.push({
      id: batch.newId(),
      skuId,
      locationId,
      quantity,
      reason: "RETURN",
      reference: returnId,
      lineId,
      actor: null,
    });
  }
}

function orderOf(batch: Batch, orderId: string): OrderStock {
  const order = batch.orders.get(orderId);
  if (!order) throw new PermanentError(`order ${orderId} was never placed here`);
  return order;
}

function keep(batch: Batch, reservation: Reservation): void {
  batch.reservations.set(`${reservation.orderId} ${reservation.lineId} ${reservation.locationId}`, reservation);
}
