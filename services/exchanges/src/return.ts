import type { EventToEmit } from "@crowdcrunch/events/contract";
import type { Actor } from "@crowdcrunch/events/vocabulary";

/**
 * Terms: a *return* is goods of one order on their way back; an *exchange* is a return whose goods are replaced and not
 * refunded. Units are *pending* while a return of them is open, and *returned* once the shop has taken them back.
 */
export type ReturnStatus = "REQUESTED" | "APPROVED" | "REJECTED" | "RECEIVED" | "SETTLING" | "SETTLED";

export type ExchangeStatus = "REQUESTED" | "REPLACING" | "SETTLED" | "FAILED" | "REJECTED";

export interface ReturnLine {
  lineId: string;
  quantity: number;
  received: number;
  restocked: number;
  writtenOff: number;
  refused: number;
}

export interface Return {
  id: string;
  /** For people: "R-" and ten characters. */
  number: string;
  orderId: string;
  status: ReturnStatus;
  version: number;
  reason: string;
  comment: string | null;
  rejection: string | null;
  externalReference: string | null;
  /** What was paid for the units that were taken back; null until they were inspected. */
  creditMinor: number | null;
  refundedMinor: number;
  requestedAt: Date;
  approvedAt: Date | null;
  receivedAt: Date | null;
  inspectedAt: Date | null;
  settledAt: Date | null;
  lines: ReturnLine[];
}

export interface Replacement {
  skuId: string;
  quantity: number;
  /** The line whose goods come back for it; the same article then costs what was paid. */
  replacesLineId?: string;
}

export interface Exchange {
  id: string;
  returnId: string;
  status: ExchangeStatus;
  version: number;
  replacements: Replacement[];
  paymentToken: string | null;
  replacementOrderId: string | null;
  /** The replacement's total. */
  replacementMinor: number | null;
  /** Why there is no replacement. */
  failure: string | null;
}

/** A physical line of a confirmed order. */
export interface OrderLine {
  lineId: string;
  skuId: string;
  name: string;
  quantity: number;
  paidMinor: number;
  delivered: number;
  deliveredAt: Date | null;
  pending: number;
  returned: number;
}

/** An order with all that came back of it: what one row lock protects. */
export interface Order {
  orderId: string;
  customerId: string;
  number: string;
  currency: string;
  lines: OrderLine[];
  returns: Return[];
  exchanges: Exchange[];
}

export interface LineUnits {
  lineId: string;
  quantity: number;
}

/** When, by the database's clock, and by whom; the system where nobody is named. */
export interface Act {
  at: Date;
  actor?: Actor | undefined;
}

/** What a decision wants beside the new state, which it leaves in the order itself. */
export interface Effects {
  events: EventToEmit[];
  incidents: { kind: string; subject: string; detail: string }[];
}

export function noEffects(): Effects {
  return { events: [], incidents: [] };
}

/** What became of an event: applied, of no concern in this state, or too early. */
export type Outcome = "apply" | "ignore" | "wait";

/** The fields that every event of the return carries; takes its next version. */
export function onReturn(order: Order, given: Return) {
  given.version += 1;
  const { orderId, customerId } = order;
  return { orderId, customerId, version: given.version, returnId: given.id, number: given.number };
}

/** The fields that every event of the exchange carries; takes its next version. */
export function onExchange(order: Order, exchange: Exchange) {
  exchange.version += 1;
  const { orderId, customerId } = order;
  return { orderId, customerId, version: exchange.version, exchangeId: exchange.id, returnId: exchange.returnId };
}

export function acted({ actor }: Act): { actor?: Actor } {
  return actor ? { actor } : {};
}

export function exchangeOf(order: Order, given: Return): Exchange | undefined {
  return order.exchanges.find(({ returnId }) => returnId === given.id);
}

/** The order's line. Throws where there is none: lines of returns were checked when these were requested. */
export function lineOf(order: Order, lineId: string): OrderLine {
  const line = order.lines.find((candidate) => candidate.lineId === lineId);
  if (!line) throw new RangeError(`order ${order.orderId} has no line ${lineId}`);
  return line;
}

/** Units of a line that may still come back. */
export function returnable(line: OrderLine): number {
  return line.delivered - line.pending - line.returned;
}

/**
 * What the next `units` to be taken back are worth: shares of what was paid by cumulative rounding, as orders has them,
 * so that all units together are worth exactly what was paid.
 */
export function nextWorthMinor(line: OrderLine, units: number): number {
  const until = (upTo: number) => Number((BigInt(line.paidMinor) * BigInt(upTo)) / BigInt(line.quantity));
  return until(line.returned + units) - until(line.returned);
}
