import type { EventOf } from "@crowdcrunch/events/contract";
import type { customerErased } from "@crowdcrunch/events/customers";
import type {
  orderCancelled,
  orderCompleted,
  orderConfirmed,
  orderDelivered,
  orderPlaced,
  orderReassigned,
  orderRefunded,
  orderRefundFailed,
  orderRejected,
} from "@crowdcrunch/events/orders";
import type { Waiting } from "@crowdcrunch/kit/consumer";
import type { Transaction } from "@crowdcrunch/kit/database";
import type { Effects, Order, Outcome } from "./return.ts";
import { noEffects } from "./return.ts";
import {
  refundHasFailed,
  refundIsSettled,
  replacementHasFailed,
  replacementIsCompleted,
  replacementIsPlaced,
} from "./settling.ts";
import { openBook } from "./store.ts";
import { createOrders, eraseCustomers, findOrdersConcerned, recordDelivered, setOwners } from "./store-orders.ts";

type Fate = EventOf<
  | typeof orderPlaced
  | typeof orderRejected
  | typeof orderCancelled
  | typeof orderRefunded
  | typeof orderRefundFailed
  | typeof orderCompleted
>;

/** What orders tells exchanges. */
export type OrdersEvent =
  | Fate
  | EventOf<typeof orderConfirmed>
  | EventOf<typeof orderDelivered>
  | EventOf<typeof orderReassigned>;

/** Other services' events, a batch in one transaction. */
export function createEventCommands(context: { newId: () => string }) {
  const { newId } = context;

  /** What becomes of replacements and refunds. They are told on either order's key; the lock is the first order's. */
  async function followFates(tx: Transaction, events: Fate[]): Promise<string[]> {
    const exchangeIds = events.flatMap((event) => exchangeIdOf(event) ?? []);
    const returnIds = events.flatMap((event) => returnIdOf(event) ?? []);
    if (exchangeIds.length + returnIds.length === 0) return [];
    const book = await openBook(tx, await findOrdersConcerned(tx, { exchangeIds, returnIds }));
    const effects = noEffects();
    const early = events.filter((event) => follow(book.all, event, book.now, effects) === "wait");
    await book.save(effects, newId);
    return early.map(({ id }) => id);
  }

  return {
    /**
     * Confirmations of a batch go first, deliveries second: both only add to the read model, and each key has them in
     * this order. A confirmation names the owner of its time, a reassignment a later one.
     */
    async followOrders(tx: Transaction, events: OrdersEvent[]): Promise<Waiting> {
      const of = <Type extends OrdersEvent["type"]>(...types: Type[]) =>
        events.filter((event) => types.includes(event.type as Type)) as Extract<OrdersEvent, { type: Type }>[];
      const confirmed = of("orders.order-confirmed.v1").map(({ data }) => ({
        orderId: data.orderId,
        customerId: data.customerId,
        number: data.number,
        currency: data.currency,
        lines: data.lines
          .filter(({ digital }) => !digital)
          .map(({ lineId, skuId, name, quantity, paidMinor }) => ({ lineId, skuId, name, quantity, paidMinor })),
      }));
      if (confirmed.length > 0) await createOrders(tx, confirmed);
      const delivered = of("orders.order-delivered.v1").flatMap(({ data }) =>
        data.lines.map((line) => ({ ...line, at: data.deliveredAt })),
      );
      if (delivered.length > 0) await recordDelivered(tx, delivered);
      const owners = new Map(of("orders.order-reassigned.v1").map(({ data }) => [data.orderId, data.customerId]));
      if (owners.size > 0) await setOwners(tx, owners);
      const wait = await followFates(
        tx,
        of(
          "orders.order-placed.v1",
          "orders.order-rejected.v1",
          "orders.order-cancelled.v1",
          "orders.order-refunded.v1",
          "orders.order-refund-failed.v1",
          "orders.order-completed.v1",
        ),
      );
      return { wait };
    },

    /** Forgets what people wrote with their returns. */
    async forgetPeople(tx: Transaction, events: EventOf<typeof customerErased>[]): Promise<void> {
      await eraseCustomers(
        tx,
        events.map(({ data }) => data.customerId),
      );
    },
  };
}

export type EventCommands = ReturnType<typeof createEventCommands>;

/** A refund of an exchange names its return, which is what it is about. */
function exchangeIdOf(event: Fate): string | undefined {
  if (event.type === "orders.order-refunded.v1" || event.type === "orders.order-refund-failed.v1") return undefined;
  // Cancelled in part, a replacement goes on with the rest.
  if (event.type === "orders.order-cancelled.v1" && !event.data.whole) return undefined;
  return event.data.exchangeId;
}

function returnIdOf(event: Fate): string | undefined {
  const isRefund = event.type === "orders.order-refunded.v1" || event.type === "orders.order-refund-failed.v1";
  return isRefund ? event.data.returnId : undefined;
}

/** One event on the orders it may concern. Those that no return or exchange knows of are of no concern. */
function follow(orders: Order[], event: Fate, at: Date, effects: Effects): Outcome {
  const exchangeId = exchangeIdOf(event);
  const returnId = returnIdOf(event);
  for (const order of orders) {
    const given = order.returns.find(({ id }) => id === returnId);
    const exchange = order.exchanges.find(({ id }) => id === exchangeId);
    if (given && event.type === "orders.order-refunded.v1") {
      return refundIsSettled(order, given, { ...event.data, at }, effects);
    }
    if (given && event.type === "orders.order-refund-failed.v1") return refundHasFailed(given, event.data, effects);
    if (exchange && event.type === "orders.order-placed.v1") {
      const { orderId, totals } = event.data;
      return replacementIsPlaced(exchange, { orderId, totalMinor: totals.totalMinor });
    }
    if (exchange && (event.type === "orders.order-rejected.v1" || event.type === "orders.order-cancelled.v1")) {
      return replacementHasFailed(order, exchange, { reason: event.data.reason, at }, effects);
    }
    if (exchange && event.type === "orders.order-completed.v1") {
      return replacementIsCompleted(order, exchange, at, effects);
    }
  }
  return "ignore";
}
