import Type from "typebox";
import type { Static } from "typebox";
import { Currency, event, LineQuantity, Minor, onOrder, Quantity, Uuid } from "./contract.ts";
import { SkuQuantity } from "./order-lines.ts";
import { Actor, Amount, Code, PaymentToken, ReadableNumber } from "./vocabulary.ts";

// Key: the id of the order whose goods come back. Subject: the return, or the exchange.

const onReturn = { ...onOrder, returnId: Uuid, /** The return's own. */ number: ReadableNumber };
const onExchange = { ...onOrder, exchangeId: Uuid, returnId: Uuid };
const actor = Type.Optional(Actor);

/** What becomes of goods that came back. REFUSED: they go back to the shopper, without credit. */
export const Disposition = Type.Enum(["RESTOCK", "WRITE_OFF", "REFUSED"]);
export type Disposition = Static<typeof Disposition>;

/** orders: the timeline · gateway: returnUpdated. */
export const returnRequested = event(
  { topic: "exchanges", name: "return-requested", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({
    ...onReturn,
    exchangeId: Type.Optional(Uuid),
    lines: Type.Array(LineQuantity, { minItems: 1 }),
    reason: Type.Optional(Code),
    actor,
  }),
);

/** orders: the timeline · gateway: returnUpdated. */
export const returnRejected = event(
  { topic: "exchanges", name: "return-rejected", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({
    ...onReturn,
    lines: Type.Array(LineQuantity, { minItems: 1 }),
    reason: Type.Optional(Code),
    actor,
  }),
);

/** fulfillment: makes the inbound label, once for the return · gateway: returnUpdated. */
export const returnApproved = event(
  { topic: "exchanges", name: "return-approved", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({ ...onReturn, lines: Type.Array(SkuQuantity, { minItems: 1 }), actor }),
);

/** orders: the timeline · gateway: returnUpdated. */
export const returnReceived = event(
  { topic: "exchanges", name: "return-received", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({ ...onReturn, lines: Type.Array(LineQuantity, { minItems: 1 }), actor }),
);

/**
 * - inventory: restocks or writes off, once for each (return, line, disposition)
 * - orders: credits what was not refused (refund-requested), or settles the difference with the replacement
 * - gateway: returnUpdated
 */
export const returnInspected = event(
  { topic: "exchanges", name: "return-inspected", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({
    ...onReturn,
    /** Present if the goods are exchanged and not refunded. */
    exchangeId: Type.Optional(Uuid),
    /** A line occurs once for each disposition of its units. */
    lines: Type.Array(Type.Object({ lineId: Uuid, skuId: Uuid, quantity: Quantity, disposition: Disposition }), {
      minItems: 1,
    }),
    actor,
  }),
);

/**
 * orders: creates the child order, whose id is derived from the exchange, with the address and the currency of this
 * order; it reserves at once and settles after return-inspected. An unknown SKU is answered with order-rejected.
 */
export const replacementRequested = event(
  { topic: "exchanges", name: "replacement-requested", version: 1, key: "orderId", subject: "exchangeId" },
  Type.Object({
    ...onExchange,
    lines: Type.Array(
      Type.Object({
        skuId: Uuid,
        quantity: Quantity,
        /** The line of this order whose goods come back for it; the same SKU then costs what was paid. */
        replacesLineId: Type.Optional(Uuid),
      }),
      { minItems: 1 },
    ),
    /** What comes back. */
    returnedLines: Type.Array(LineQuantity, { minItems: 1 }),
    /** What was paid for it, as shown to the shopper. What counts is what the inspection accepts. */
    creditMinor: Amount,
    currency: Currency,
    /** For a difference that the shopper owes. */
    paymentToken: Type.Optional(PaymentToken),
    actor,
  }),
);

/** orders: cancels the child order. */
export const replacementWithdrawn = event(
  { topic: "exchanges", name: "replacement-withdrawn", version: 1, key: "orderId", subject: "exchangeId" },
  Type.Object({ ...onExchange, reason: Type.Optional(Code), actor }),
);

/** orders: the timeline · gateway: returnUpdated. */
export const returnSettled = event(
  { topic: "exchanges", name: "return-settled", version: 1, key: "orderId", subject: "returnId" },
  Type.Object({
    ...onReturn,
    /** Absent if nothing was refunded. */
    refundId: Type.Optional(Uuid),
    refundedMinor: Amount,
    currency: Currency,
  }),
);

/** orders: the timeline · gateway: returnUpdated. */
export const exchangeSettled = event(
  { topic: "exchanges", name: "exchange-settled", version: 1, key: "orderId", subject: "exchangeId" },
  Type.Object({
    ...onExchange,
    replacementOrderId: Uuid,
    /** Replacement less credit: positive if the shopper paid, negative if money went back. */
    differenceMinor: Minor,
    currency: Currency,
  }),
);

export const exchangesEvents = [
  returnRequested,
  returnRejected,
  returnApproved,
  returnReceived,
  returnInspected,
  replacementRequested,
  replacementWithdrawn,
  returnSettled,
  exchangeSettled,
];
