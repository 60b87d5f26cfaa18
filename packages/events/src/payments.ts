import Type from "typebox";
import { Currency, event, onOrder, Timestamp, Uuid } from "./contract.ts";
import { Amount, Code } from "./vocabulary.ts";

// Key: the order's id. Subject: the payment, or the refund. Replies go to orders alone.

const onPayment = { ...onOrder, paymentId: Uuid };
/** Repeats the number of the payment-requested that it answers. */
const attempt = Type.Integer({ minimum: 1 });
/** Repeats the number of the order-shipped that it answers. */
const captureSequence = Type.Integer({ minimum: 1 });

/** orders: confirms (order-confirmed); ignores it once the order is cancelled, since payments voids. */
export const paymentAuthorized = event(
  { topic: "payments", name: "payment-authorized", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, attempt, amountMinor: Amount, currency: Currency, expiresAt: Timestamp }),
);

/** The card's bank wants the shopper. orders: PAYMENT_ACTION_REQUIRED, and the timeline. */
export const paymentActionRequired = event(
  { topic: "payments", name: "payment-action-required", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, attempt, url: Type.String({ minLength: 1, maxLength: 2048 }) }),
);

/** orders: the timeline; payOrder may try another card until the deadline. */
export const paymentDeclined = event(
  { topic: "payments", name: "payment-declined", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, attempt, code: Code, /** With the same card. */ retryable: Type.Boolean() }),
);

/** The provider's outcome is unknown and is being looked up. orders: the timeline only. */
export const paymentUnresolved = event(
  { topic: "payments", name: "payment-unresolved", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, operation: Type.Enum(["AUTHORIZE", "CAPTURE", "VOID", "REFUND"]), since: Timestamp }),
);

/** orders: adds to the paid amount. */
export const paymentCaptured = event(
  { topic: "payments", name: "payment-captured", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, captureSequence, amountMinor: Amount, currency: Currency }),
);

/** orders: opens an incident and stops the shipments that were not sent (cancellation-requested). */
export const captureFailed = event(
  { topic: "payments", name: "capture-failed", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, captureSequence, amountMinor: Amount, currency: Currency, code: Code }),
);

/** orders: closes the compensation. */
export const paymentVoided = event(
  { topic: "payments", name: "payment-voided", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, /** 0 if nothing was ever held. */ amountMinor: Amount, currency: Currency }),
);

/** orders: tells the others (order-refunded). */
export const refundSettled = event(
  { topic: "payments", name: "refund-settled", version: 1, key: "orderId", subject: "refundId" },
  Type.Object({ ...onPayment, refundId: Uuid, amountMinor: Amount, currency: Currency }),
);

/** orders: tells the others (order-refund-failed). A retry by staff may settle the refund yet. */
export const refundFailed = event(
  { topic: "payments", name: "refund-failed", version: 1, key: "orderId", subject: "refundId" },
  Type.Object({ ...onPayment, refundId: Uuid, amountMinor: Amount, currency: Currency, code: Code }),
);

/** orders: the timeline, and an incident. */
export const paymentDisputed = event(
  { topic: "payments", name: "payment-disputed", version: 1, key: "orderId", subject: "paymentId" },
  Type.Object({ ...onPayment, amountMinor: Amount, currency: Currency, reason: Code }),
);

export const paymentsEvents = [
  paymentAuthorized,
  paymentActionRequired,
  paymentDeclined,
  paymentUnresolved,
  paymentCaptured,
  captureFailed,
  paymentVoided,
  refundSettled,
  refundFailed,
  paymentDisputed,
];
