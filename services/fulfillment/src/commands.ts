import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { notFound } from "@crowdcrunch/kit/errors";
import { idempotent, requireUuid } from "@crowdcrunch/kit/idempotency";
import { actorOf } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { readableNumber } from "@crowdcrunch/kit/readable-number";
import type { Effects, Fulfillment, LineUnits, Shipment } from "./fulfillment.ts";
import { noEffects } from "./fulfillment.ts";
import { deliver, dispatch, lose } from "./shipping.ts";
import type { FulfillmentBook } from "./store.ts";
import { openBook } from "./store.ts";
import type { Lists } from "./store-lists.ts";
import { findDueForCarrier } from "./store-lists.ts";

export interface CommandContext {
  db: Database;
  newId: () => string;
  lists: Lists;
}

/** What every mutation of a parcel names. */
export interface ParcelInput {
  idempotencyKey: string;
  shipmentId: string;
}

const parcelsAtOnce = 100;

/** A parcel's code for its way: sixteen characters, so that nobody guesses another's. */
export function newTrackingCode(): string {
  return `CC${readableNumber()}${readableNumber().slice(0, 4)}`;
}

/** The commands of staff and of the carrier: one transaction each. */
export function createCommands(context: CommandContext) {
  const { db, newId, lists } = context;

  /** Changes one parcel under its order's lock, once for a key. Resolves to what `act` said, now or before. */
  async function change<Result extends object>(
    viewer: Viewer,
    call: { operation: string; input: ParcelInput; request: object },
    act: (parcel: { fulfillment: Fulfillment; shipment: Shipment; at: Date; actor: Actor }, effects: Effects) => Result,
  ): Promise<Result> {
    const shipmentId = requireUuid(call.input.shipmentId, "shipmentId");
    const [found] = await lists.shipmentsById([shipmentId]);
    if (!found) throw notFound("There is no such parcel.");
    const { operation } = call;
    const identity = { principal: viewer.sub, operation, key: call.input.idempotencyKey };
    return db.transaction((tx) =>
      idempotent(tx, { ...identity, request: { shipmentId, ...call.request } }, async () => {
        const book = await openBook(tx, [found.orderId]);
        const { fulfillment, shipment } = parcelIn(book, found.orderId, shipmentId);
        const effects = noEffects();
        const result = act({ fulfillment, shipment, at: book.now, actor: actorOf(viewer) }, effects);
        await book.save(effects, newId);
        return result;
      }),
    );
  }

  async function read(id: string) {
    const [shipment] = await lists.shipmentsById([id]);
    if (!shipment) throw notFound("There is no such parcel.");
    return shipment;
  }

  return {
    /** Hands a parcel, or some units of it, to the carrier. */
    async dispatchShipment(viewer: Viewer, input: ParcelInput & { lines?: LineUnits[] | null | undefined }) {
      const parts = input.lines ?? null;
      const { dispatchedId, remainingId } = await change(
        viewer,
        { operation: "dispatchShipment", input, request: { parts } },
        ({ fulfillment, shipment, ...act }, effects) => {
          const minted = { id: newId(), trackingCode: newTrackingCode() };
          const done = dispatch(fulfillment, shipment, { parts, minted, ...act }, effects);
          return { dispatchedId: done.dispatched.id, remainingId: done.remaining?.id ?? null };
        },
      );
      return { shipment: await read(dispatchedId), remaining: remainingId === null ? null : await read(remainingId) };
    },

    async recordDelivery(viewer: Viewer, input: ParcelInput) {
      const { id } = await change(
        viewer,
        { operation: "recordDelivery", input, request: {} },
        ({ fulfillment, shipment, ...act }, effects) => {
          deliver(fulfillment, shipment, act, effects);
          return { id: shipment.id };
        },
      );
      return read(id);
    },

    async reportLost(viewer: Viewer, input: ParcelInput) {
      const { id } = await change(
        viewer,
        { operation: "reportLost", input, request: {} },
        ({ fulfillment, shipment, ...act }, effects) => {
          lose(fulfillment, shipment, act, effects);
          return { id: shipment.id };
        },
      );
      return read(id);
    },

    /**
     * A round of the simulated carrier: takes parcels that have waited for the delay, and delivers those that have been
     * under way for as long. Resolves to true when there may be more.
     */
    async simulateCarrier(delayMs: number): Promise<boolean> {
      const due = await findDueForCarrier(db, delayMs, parcelsAtOnce);
      if (due.length === 0) return false;
      await db.transaction((tx) => carry(tx, due));
      return due.length >= parcelsAtOnce;
    },
  };

  async function carry(tx: Transaction, due: { id: string; orderId: string }[]): Promise<void> {
    const book = await openBook(
      tx,
      due.map(({ orderId }) => orderId),
    );
    const effects = noEffects();
    for (const { id, orderId } of due) {
      const { fulfillment, shipment } = parcelIn(book, orderId, id);
      // Staff or a cancellation may have come first.
      if (shipment.status === "TO_PACK" && shipment.shipTo) {
        const minted = { id: newId(), trackingCode: newTrackingCode() };
        dispatch(fulfillment, shipment, { parts: null, minted, at: book.now }, effects);
      } else if (shipment.status === "DISPATCHED") {
        deliver(fulfillment, shipment, { at: book.now }, effects);
      }
    }
    await book.save(effects, newId);
  }
}

function parcelIn(book: FulfillmentBook, orderId: string, shipmentId: string) {
  const fulfillment = book.get(orderId);
  const shipment = fulfillment?.shipments.find(({ id }) => id === shipmentId);
  if (!fulfillment || !shipment) throw notFound("There is no such parcel.");
  return { fulfillment, shipment };
}

export type Commands = ReturnType<typeof createCommands>;
