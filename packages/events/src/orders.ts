import Type from "typebox";
import { Currency, event, LineQuantity, onOrder, PostalAddress, Timestamp, Uuid } from "./contract.ts";
import { ConfirmedLine, NamedQuantity, OrderKind, OrderTotals } from "./order-lines.ts";
import { PlacedLine, RejectedLine, ShippedLine } from "./order-lines.ts";
import { Amount, Code, correspondence, PaymentToken, PositiveAmount, ReadableNumber } from "./vocabulary.ts";

// Key and subject: the order's id. These are the only instructions about an order that any service takes.

/**
 * - inventory: reserves all lines or none (stock-reserved, stock-rejected); digital lines need no stock
 * - frontend: closes the cart; learns what is bought together
 * - exchanges: links the replacement to its exchange
 */
export const orderPlaced = event(
  { topic: "orders", name: "order-placed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    number: ReadableNumber,
    kind: OrderKind,
    cartId: Type.Optional(Uuid),
    /** Of a replacement. */
    exchangeId: Type.Optional(Uuid),
    lines: Type.Array(PlacedLine, { minItems: 1 }),
    totals: OrderTotals,
    currency: Currency,
  }),
);

/** payments: authorizes. Another attempt follows only after the former one was declined. */
export const paymentRequested = event(
  { topic: "orders", name: "payment-requested", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    /** What the shopper and the provider's statement call the order. */
    number: ReadableNumber,
    paymentId: Uuid,
    /** 1 for the first card, 2 for the second. */
    attempt: Type.Integer({ minimum: 1 }),
    amountMinor: PositiveAmount,
    currency: Currency,
    paymentToken: PaymentToken,
  }),
);

/**
 * - fulfillment: makes the shipment of the physical lines, mails the digital ones
 * - exchanges: keeps the lines that may be returned and what was paid for them
 * - customers: mails the confirmation
 */
export const orderConfirmed = event(
  { topic: "orders", name: "order-confirmed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    /** The address is present whenever a line is digital. */
    ...correspondence,
    kind: OrderKind,
    exchangeId: Type.Optional(Uuid),
    /** Absent if nothing was due. */
    paymentId: Type.Optional(Uuid),
    lines: Type.Array(ConfirmedLine, { minItems: 1 }),
    totals: OrderTotals,
    currency: Currency,
    shippingMethod: Type.String({ minLength: 1, maxLength: 64 }),
    /** Absent if every line is digital. */
    shipTo: Type.Optional(PostalAddress),
  }),
);

/** fulfillment: decides (shipment-cancelled, cancellation-refused, or both for different lines). */
export const cancellationRequested = event(
  { topic: "orders", name: "cancellation-requested", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, cancellationId: Uuid, lines: Type.Array(LineQuantity, { minItems: 1 }) }),
);

/**
 * The order never held stock or money.
 *
 * - exchanges: the replacement failed
 * - frontend: opens the cart again
 * - customers: mails what is missing
 */
export const orderRejected = event(
  { topic: "orders", name: "order-rejected", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    ...correspondence,
    cartId: Type.Optional(Uuid),
    exchangeId: Type.Optional(Uuid),
    /** OUT_OF_STOCK; for a replacement also UNKNOWN_SKU. */
    reason: Code,
    /** The lines that fell short. */
    lines: Type.Array(RejectedLine),
  }),
);

/**
 * - inventory: releases what it holds for the lines, and answers also if that is nothing (stock-released)
 * - payments: voids (whole), or lowers what may be captured
 * - exchanges: takes the lines from those that may be returned; a replacement failed
 * - frontend: opens the cart again, if whole and before CONFIRMED
 * - customers: mails the cancellation
 */
export const orderCancelled = event(
  { topic: "orders", name: "order-cancelled", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    ...correspondence,
    cancellationId: Uuid,
    cartId: Type.Optional(Uuid),
    exchangeId: Type.Optional(Uuid),
    /** Absent if no payment was ever requested; then payments has nothing to answer. */
    paymentId: Type.Optional(Uuid),
    lines: Type.Array(NamedQuantity, { minItems: 1 }),
    /** True if nothing of the order is left: no line was shipped and none will be. */
    whole: Type.Boolean(),
    beforeConfirmed: Type.Boolean(),
    /** SHOPPER, STAFF, DEADLINE, DELIVERY_FAILED, CAPTURE_FAILED, WITHDRAWN (a replacement). */
    reason: Code,
    /** What may still be captured after this, without what was captured before; 0 if whole. */
    capturableMinor: Amount,
    currency: Currency,
  }),
);

/**
 * Physical lines were handed to the carrier (shipmentId), or digital ones were mailed (deliveryId).
 *
 * - inventory: consumes the reservation of physical lines
 * - payments: captures (payment-captured, capture-failed); nothing if the amount is 0
 * - customers: mails the dispatch of physical lines
 */
export const orderShipped = event(
  { topic: "orders", name: "order-shipped", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    ...correspondence,
    shipmentId: Type.Optional(Uuid),
    deliveryId: Type.Optional(Uuid),
    trackingCode: Type.Optional(Type.String()),
    lines: Type.Array(ShippedLine, { minItems: 1 }),
    /** Absent if nothing was due. */
    paymentId: Type.Optional(Uuid),
    captureMinor: Amount,
    /** 1…n over the order; with the payment, the identity of the capture. */
    captureSequence: Type.Integer({ minimum: 1 }),
    currency: Currency,
    /** True if nothing is left to ship: the last capture. */
    completesShipping: Type.Boolean(),
  }),
);

/** exchanges: opens the window for returns of these lines. */
export const orderDelivered = event(
  { topic: "orders", name: "order-delivered", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    shipmentId: Type.Optional(Uuid),
    deliveryId: Type.Optional(Uuid),
    lines: Type.Array(LineQuantity, { minItems: 1 }),
    deliveredAt: Timestamp,
  }),
);

/** payments: refunds (refund-settled, refund-failed). */
export const refundRequested = event(
  { topic: "orders", name: "refund-requested", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    refundId: Uuid,
    /** What paid for the order: of a replacement, it may be the payment of the order that it replaced. */
    paymentId: Uuid,
    amountMinor: PositiveAmount,
    currency: Currency,
    returnId: Type.Optional(Uuid),
    /** RETURN, GOODWILL, LOST, DIFFERENCE (of an exchange). */
    reason: Code,
  }),
);

/**
 * - exchanges: settles the return
 * - fulfillment: revokes the download links of the lines
 * - customers: mails the refund
 */
export const orderRefunded = event(
  { topic: "orders", name: "order-refunded", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    ...correspondence,
    refundId: Uuid,
    returnId: Type.Optional(Uuid),
    exchangeId: Type.Optional(Uuid),
    /** Empty if money went back without goods. */
    lines: Type.Array(NamedQuantity),
    amountMinor: Amount,
    currency: Currency,
    reason: Code,
  }),
);

/** exchanges: the return stays SETTLING, with an incident. */
export const orderRefundFailed = event(
  { topic: "orders", name: "order-refund-failed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({
    ...onOrder,
    refundId: Uuid,
    returnId: Type.Optional(Uuid),
    amountMinor: Amount,
    currency: Currency,
    code: Code,
  }),
);

/**
 * Every line is delivered or cancelled.
 *
 * - payments: voids what was authorized and not captured
 * - exchanges: settles the exchange of a replacement
 */
export const orderCompleted = event(
  { topic: "orders", name: "order-completed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, exchangeId: Type.Optional(Uuid), paymentId: Type.Optional(Uuid), at: Timestamp }),
);

/** A guest's order went to the account. payments, fulfillment, exchanges: customerId is the owner from here on. */
export const orderReassigned = event(
  { topic: "orders", name: "order-reassigned", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, previousCustomerId: Uuid }),
);

/**
 * Something new stands on the order's timeline that no other event tells: a card was declined, the bank wants the
 * shopper, a parcel was packed. No service acts on it.
 *
 * - gateway: orderUpdated
 */
export const orderProgressed = event(
  { topic: "orders", name: "order-progressed", version: 1, key: "orderId", subject: "orderId" },
  Type.Object({ ...onOrder, /** The timeline's new entries, oldest first. */ what: Type.Array(Code, { minItems: 1 }) }),
);

export const ordersEvents = [
  orderPlaced,
  paymentRequested,
  orderConfirmed,
  cancellationRequested,
  orderRejected,
  orderCancelled,
  orderShipped,
  orderDelivered,
  refundRequested,
  orderRefunded,
  orderRefundFailed,
  orderCompleted,
  orderReassigned,
  orderProgressed,
];
