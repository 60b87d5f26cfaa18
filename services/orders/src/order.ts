import type { PostalAddress } from "@crowdcrunch/events/contract";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import type { OrderTotals } from "@crowdcrunch/events/order-lines";
import type { Actor } from "@crowdcrunch/events/vocabulary";

/**
 * Terms: an order is *placed* by its shopper or by staff for a customer, *confirmed* when stock and money are held,
 * *captured* piece by piece as it is shipped, and *closed* when nothing of it is left to do. `due` is what the shopper
 * pays for it with money: the total, or a replacement's total less the credit for what came back.
 */
export type OrderStatus =
  | "PENDING"
  | "AWAITING_PAYMENT"
  | "PAYMENT_ACTION_REQUIRED"
  | "AWAITING_RETURN"
  | "CONFIRMED"
  | "PARTIALLY_SHIPPED"
  | "SHIPPED"
  | "PARTIALLY_DELIVERED"
  | "DELIVERED"
  | "COMPLETED"
  | "REJECTED"
  | "CANCELLED";

export type PaymentState = "NONE" | "REQUESTED" | "ACTION_REQUIRED" | "DECLINED" | "AUTHORIZED" | "VOIDED";

export interface OrderLine {
  id: string;
  position: number;
  skuId: string;
  productId: string;
  name: string;
  quantity: number;
  unitMinor: number;
  taxMinor: number;
  discountMinor: number;
  /** What the shopper pays for the line, tax included. */
  paidMinor: number;
  digital: boolean;
  priceVersion: number;
  agreed: boolean;
  shipped: number;
  delivered: number;
  lost: number;
  cancelled: number;
  returned: number;
  refundedMinor: number;
}

/** A payment that an order's refunds may take from. */
export interface Funding {
  paymentId: string;
  amountMinor: number;
}

export interface Order {
  id: string;
  number: string;
  kind: "SALE" | "REPLACEMENT";
  status: OrderStatus;
  customerId: string;
  version: number;
  email: string | null;
  currency: string;
  totals: OrderTotals;
  shipTo: PostalAddress | null;
  shippingMethod: string;
  couponCode: string | null;
  cartId: string | null;
  exchangeId: string | null;
  replacesOrderId: string | null;
  returnId: string | null;
  creditMinor: number | null;
  funding: Funding[];
  stockReserved: boolean;
  paymentToken: string | null;
  paymentId: string | null;
  paymentState: PaymentState;
  paymentAttempt: number;
  paymentUrl: string | null;
  dueMinor: number;
  captureSequence: number;
  captureAskedMinor: number;
  capturedMinor: number;
  refundedMinor: number;
  awaitsStock: boolean;
  awaitsVoid: boolean;
  deadlineAt: Date | null;
  placedAt: Date;
  lines: OrderLine[];
}

/** An order without its lines, as lists show it. */
export type OrderHead = Omit<Order, "lines">;

export interface TimelineEntry {
  orderId: string;
  orderNumber: string;
  /** In capitals: PLACED, STOCK_RESERVED, … */
  what: string;
  detail?: string;
  actor?: Actor;
}

export interface Cancellation {
  id: string;
  orderId: string;
  reason: string;
  status: "REQUESTED" | "DONE" | "REFUSED";
  openUnits: number;
}

export interface Refund {
  id: string;
  orderId: string;
  paymentId: string | null;
  returnId: string | null;
  reason: string;
  amountMinor: number;
  lines: LineUnits[];
  status: "REQUESTED" | "SETTLED" | "FAILED";
}

export interface LineUnits {
  lineId: string;
  quantity: number;
}

/**
 * What a decision writes, collected over a batch: events, timeline entries and rows beside the orders, whose new state
 * the decision leaves in the order itself. New ids are made by who calls, so that decisions stay pure.
 */
export interface Effects {
  newId: () => string;
  events: EventToEmit[];
  timeline: TimelineEntry[];
  cancellations: Cancellation[];
  refunds: Refund[];
  incidents: { kind: string; subject: string; detail: string }[];
  /** Coupons whose use is given back. */
  couponsFreed: string[];
}

/** What became of an event: applied, of no concern in this state, or too early. */
export type Outcome = "apply" | "ignore" | "wait";

export function noEffects(newId: () => string): Effects {
  return { newId, events: [], timeline: [], cancellations: [], refunds: [], incidents: [], couponsFreed: [] };
}

/** The fields that every event of the order carries; takes the order's next version. */
export function onOrderKey(order: Order) {
  order.version += 1;
  return { orderId: order.id, customerId: order.customerId, version: order.version };
}

export function note(effects: Effects, order: Order, what: string, detail?: string, actor?: Actor): void {
  effects.timeline.push({
    orderId: order.id,
    orderNumber: order.number,
    what,
    ...(detail === undefined ? {} : { detail }),
    ...(actor ? { actor } : {}),
  });
}

/** True until stock and money are held: the order can be cancelled at once. */
export function isBeforeConfirmed(status: OrderStatus): boolean {
  return ["PENDING", "AWAITING_PAYMENT", "PAYMENT_ACTION_REQUIRED", "AWAITING_RETURN"].includes(status);
}

export function isTerminal(status: OrderStatus): boolean {
  return status === "COMPLETED" || status === "REJECTED" || status === "CANCELLED";
}

/** Units of a line that neither left nor were cancelled. */
export function unsent(line: OrderLine): number {
  return line.quantity - line.shipped - line.cancelled;
}

/**
 * What `from` to `to` units of a line are worth: shares of the whole by cumulative rounding, so that all units together
 * are worth exactly what was paid, in whatever portions they come.
 */
export function shareMinor(line: OrderLine, from: number, to: number): number {
  const until = (units: number) => Number((BigInt(line.paidMinor) * BigInt(units)) / BigInt(line.quantity));
  return until(to) - until(from);
}
