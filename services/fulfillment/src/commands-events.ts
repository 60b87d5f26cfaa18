import type { EventOf } from "@crowdcrunch/events/contract";
import type { customerErased } from "@crowdcrunch/events/customers";
import type { returnApproved } from "@crowdcrunch/events/exchanges";
import { shipmentCreated } from "@crowdcrunch/events/fulfillment";
import type { cancellationRequested, orderConfirmed, orderReassigned, orderRefunded } from "@crowdcrunch/events/orders";
import type { Waiting } from "@crowdcrunch/kit/consumer";
import type { Transaction } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import { readableNumber } from "@crowdcrunch/kit/readable-number";
import { newTrackingCode } from "./commands.ts";
import { noEffects, unitsOf } from "./fulfillment.ts";
import { stop } from "./stopping.ts";
import { openBook } from "./store.ts";
import {
  createDeliveries,
  createLabels,
  createShipments,
  eraseCustomers,
  findKnown,
  insertNew,
  revokeDownloads,
  setOwners,
} from "./store-confirmed.ts";

type Confirmed = EventOf<typeof orderConfirmed>;
type CancellationRequested = EventOf<typeof cancellationRequested>;
type Refunded = EventOf<typeof orderRefunded>;
type Reassigned = EventOf<typeof orderReassigned>;

/** What orders tells fulfillment. */
export type OrdersEvent = Confirmed | CancellationRequested | Refunded | Reassigned;

export interface EventCommandContext {
  newId: () => string;
  config: { DOWNLOADS_PER_LINK: number };
  /** Called after mails to send were stored. */
  onDeliveries: () => void;
}

/** Other services' events, a batch in one transaction. */
export function createEventCommands(context: EventCommandContext) {
  const { newId } = context;

  /** New orders get a parcel for their physical lines and a mail for their digital ones. */
  async function confirm(tx: Transaction, events: Confirmed[]): Promise<void> {
    if (events.length === 0) return;
    const physical = (event: Confirmed) => event.data.lines.filter(({ digital }) => !digital);
    const fresh = await insertNew(
      tx,
      events.map((event) => ({
        orderId: event.data.orderId,
        customerId: event.data.customerId,
        orderNumber: event.data.number,
        // The one event that tells of the parcel.
        version: physical(event).length > 0 ? 1 : 0,
      })),
    );
    const orders = events.filter(({ data }) => fresh.has(data.orderId));
    const shipments = orders.flatMap((event) => {
      const { orderId, customerId, shippingMethod, shipTo = null } = event.data;
      const lines = goods(physical(event));
      if (lines.length === 0) return [];
      return [{ id: newId(), orderId, customerId, trackingCode: newTrackingCode(), shippingMethod, shipTo, lines }];
    });
    const deliveries = orders.flatMap(({ data: { orderId, customerId, email = null, lines } }) => {
      const digital = goods(lines.filter((line) => line.digital));
      if (digital.length === 0) return [];
      const downloadsAtMost = context.config.DOWNLOADS_PER_LINK;
      const downloads = digital.map((line) => ({ id: newId(), ...line, licenceKey: newLicenceKey(), downloadsAtMost }));
      return [{ id: newId(), orderId, customerId, email, lines: downloads }];
    });
    await createShipments(tx, shipments);
    await createDeliveries(tx, deliveries);
    for (const { id, orderId, customerId, trackingCode, lines } of shipments) {
      const told = { orderId, customerId, version: 1, shipmentId: id, trackingCode, lines: unitsOf(lines) };
      tx.emit(shipmentCreated.create(told, { sequence: 1 }));
    }
    if (deliveries.length > 0) tx.afterCommit(context.onDeliveries);
  }

  /** Decides what can still be stopped. Resolves to those whose order is not here yet. */
  async function decideCancellations(tx: Transaction, events: CancellationRequested[]): Promise<string[]> {
    if (events.length === 0) return [];
    const book = await openBook(
      tx,
      events.map(({ data }) => data.orderId),
    );
    const effects = noEffects();
    const early: string[] = [];
    for (const { id, data } of events) {
      const fulfillment = book.get(data.orderId);
      if (fulfillment) stop(fulfillment, data, effects);
      else early.push(id);
    }
    await book.save(effects, newId);
    return early;
  }

  return {
    /**
     * A confirmation names the owner of its time and a reassignment a later one, so all confirmations of a batch may go
     * first; cancellations and refunds follow their confirmation on the order's key.
     */
    async followOrders(tx: Transaction, events: OrdersEvent[]): Promise<Waiting> {
      const of = <Type extends OrdersEvent["type"]>(type: Type) =>
        events.filter((event) => event.type === type) as Extract<OrdersEvent, { type: Type }>[];
      await confirm(tx, of("orders.order-confirmed.v1"));
      const owners = new Map(of("orders.order-reassigned.v1").map(({ data }) => [data.orderId, data.customerId]));
      if (owners.size > 0) await setOwners(tx, owners);
      const wait = await decideCancellations(tx, of("orders.cancellation-requested.v1"));
      const refunded = of("orders.order-refunded.v1").flatMap(({ data }) => data.lines);
      if (refunded.length > 0) await revokeDownloads(tx, refunded);
      return { wait };
    },

    /** A return gets its label, once. */
    async makeLabels(tx: Transaction, events: EventOf<typeof returnApproved>[]): Promise<Waiting> {
      const known = await findKnown(
        tx,
        events.map(({ data }) => data.orderId),
      );
      const due = events.filter(({ data }) => known.has(data.orderId));
      const labels = due.map(({ data: { returnId, orderId, number } }) => {
        return { returnId, orderId, returnNumber: number, code: `IN${newTrackingCode()}` };
      });
      if (labels.length > 0) await createLabels(tx, labels);
      return { wait: events.filter(({ data }) => !known.has(data.orderId)).map(({ id }) => id) };
    },

    /** Forgets addresses. A parcel that was still to pack cannot go any more and is for staff to cancel. */
    async forgetPeople(tx: Transaction, events: EventOf<typeof customerErased>[]): Promise<void> {
      const stranded = await eraseCustomers(
        tx,
        events.map(({ data }) => data.customerId),
      );
      for (const subject of stranded) {
        const detail = "The person asked to be forgotten before the parcel was dispatched: cancel the order.";
        await openIncident(tx, newId, { kind: "ADDRESS_ERASED", subject, detail });
      }
    },
  };
}

export type EventCommands = ReturnType<typeof createEventCommands>;

/** What fulfillment keeps of confirmed lines: no prices. */
function goods(lines: Confirmed["data"]["lines"]) {
  return lines.map(({ lineId, skuId, name, quantity }) => ({ lineId, skuId, name, quantity }));
}

/** Four groups of five characters. */
function newLicenceKey(): string {
  return (readableNumber() + readableNumber()).replaceAll(/.{5}(?!$)/g, "$&-");
}
