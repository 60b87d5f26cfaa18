import {
  replacementRequested,
  replacementWithdrawn,
  returnApproved,
  returnRejected,
  returnRequested,
} from "@crowdcrunch/events/exchanges";
import { invalid, notPossible, problem } from "@crowdcrunch/kit/errors";
import type { Act, Effects, Exchange, LineUnits, Order, Replacement, Return } from "./return.ts";
import { acted, exchangeOf, lineOf, nextWorthMinor, onExchange, onReturn, returnable } from "./return.ts";

// From the request to the agreement.

export interface Demand {
  id: string;
  number: string;
  lines: LineUnits[];
  reason: string;
  comment: string | null;
  externalReference: string | null;
  /** Present where the goods are to be replaced and not refunded. */
  exchange?: { id: string; replacements: Replacement[]; paymentToken: string | null };
}

const linesAtMost = 1_000;
const unitsAtMost = 100_000;

/**
 * Checks that the units were delivered, did not come back yet, and that the window is open. Staff may take back after
 * the window. Throws NotReturnable, or InvalidInput for what cannot be a demand at all.
 */
export function checkDemand(
  order: Order,
  lines: LineUnits[],
  terms: { now: Date; days: number; staff: boolean },
): void {
  if (lines.length === 0 || lines.length > linesAtMost) throw invalid("lines", "A return has 1 to 1,000 lines.");
  const seen = new Set<string>();
  for (const [index, { lineId, quantity }] of lines.entries()) {
    if (seen.has(lineId)) throw invalid(`lines[${index}].lineId`, "Each line may be named once.");
    seen.add(lineId);
    if (quantity < 1 || quantity > unitsAtMost) throw invalid(`lines[${index}].quantity`, "1 to 100,000 units.");
    const line = order.lines.find((candidate) => candidate.lineId === lineId);
    if (!line) throw invalid(`lines[${index}].lineId`, "The order has no such line that could come back.");
    const endsMs = (line.deliveredAt?.getTime() ?? 0) + terms.days * 86_400_000;
    const units = terms.staff || terms.now.getTime() <= endsMs ? returnable(line) : 0;
    if (quantity > units) {
      throw problem("NotReturnable", `${line.name}: ${units} can be returned.`, { lineId, returnable: units });
    }
  }
}

/** Checks what is wanted instead. Throws InvalidInput. */
export function checkReplacements(replacements: Replacement[], lines: LineUnits[]): void {
  if (replacements.length === 0 || replacements.length > linesAtMost) {
    throw invalid("replacements", "An exchange has 1 to 1,000 replacements.");
  }
  for (const [index, { quantity, replacesLineId }] of replacements.entries()) {
    if (quantity < 1 || quantity > unitsAtMost) throw invalid(`replacements[${index}].quantity`, "1 to 100,000 units.");
    if (replacesLineId !== undefined && !lines.some(({ lineId }) => lineId === replacesLineId)) {
      throw invalid(`replacements[${index}].replacesLineId`, "This line does not come back.");
    }
  }
}

/** Opens a return, or an exchange, of units that were checked. From here on they cannot be asked for twice. */
export function request(order: Order, demand: Demand, act: Act, effects: Effects): Return {
  const { id, number, lines, reason, comment, externalReference, exchange } = demand;
  const none = { received: 0, restocked: 0, writtenOff: 0, refused: 0 };
  const opened: Return = {
    ...{ id, number, orderId: order.orderId, status: "REQUESTED", version: 0, reason, comment, externalReference },
    ...{ rejection: null, creditMinor: null, refundedMinor: 0, requestedAt: act.at },
    ...{ approvedAt: null, receivedAt: null, inspectedAt: null, settledAt: null },
    lines: lines.map((line) => ({ ...line, ...none })),
  };
  order.returns.push(opened);
  if (exchange) {
    const open = { status: "REQUESTED", version: 0, failure: null } as const;
    order.exchanges.push({ ...exchange, returnId: id, ...open, replacementOrderId: null, replacementMinor: null });
  }
  for (const { lineId, quantity } of lines) lineOf(order, lineId).pending += quantity;
  effects.events.push(
    returnRequested.create(
      { ...onReturn(order, opened), ...(exchange ? { exchangeId: exchange.id } : {}), lines, reason, ...acted(act) },
      { sequence: opened.version },
    ),
  );
  return opened;
}

/** Agrees to a return; a replacement is ordered at once, so that its stock is held. Throws NotPossible. */
export function approve(order: Order, given: Return, act: Act, effects: Effects): void {
  if (given.status !== "REQUESTED") throw notPossible(given.status, "Only a requested return can be approved.");
  given.status = "APPROVED";
  given.approvedAt = act.at;
  const lines = given.lines.map(({ lineId, quantity }) => ({ lineId, quantity, skuId: lineOf(order, lineId).skuId }));
  effects.events.push(
    returnApproved.create({ ...onReturn(order, given), lines, ...acted(act) }, { sequence: given.version }),
  );
  const exchange = exchangeOf(order, given);
  if (exchange) orderReplacement(order, given, exchange, act, effects);
}

function orderReplacement(order: Order, given: Return, exchange: Exchange, act: Act, effects: Effects): void {
  const { replacements, paymentToken } = exchange;
  exchange.status = "REPLACING";
  exchange.paymentToken = null;
  effects.events.push(
    replacementRequested.create(
      {
        ...onExchange(order, exchange),
        lines: replacements,
        returnedLines: given.lines.map(({ lineId, quantity }) => ({ lineId, quantity })),
        creditMinor: given.lines.reduce(
          (sum, { lineId, quantity }) => sum + nextWorthMinor(lineOf(order, lineId), quantity),
          0,
        ),
        currency: order.currency,
        ...(paymentToken === null ? {} : { paymentToken }),
        ...acted(act),
      },
      { sequence: exchange.version },
    ),
  );
}

/** Refuses a return, or gives up one whose goods never came. Throws NotPossible. */
export function reject(order: Order, given: Return, refusal: Act & { reason: string }, effects: Effects): void {
  if (given.status !== "REQUESTED" && given.status !== "APPROVED") {
    throw notPossible(given.status, "Only a return whose goods did not come yet can be rejected.");
  }
  const { reason } = refusal;
  given.status = "REJECTED";
  given.rejection = reason;
  for (const { lineId, quantity } of given.lines) lineOf(order, lineId).pending -= quantity;
  const lines = given.lines.map(({ lineId, quantity }) => ({ lineId, quantity }));
  effects.events.push(
    returnRejected.create({ ...onReturn(order, given), lines, reason, ...acted(refusal) }, { sequence: given.version }),
  );
  const exchange = exchangeOf(order, given);
  if (!exchange) return;
  if (exchange.status === "REPLACING") withdraw(order, exchange, refusal, effects);
  if (exchange.status !== "FAILED") exchange.status = "REJECTED";
  exchange.paymentToken = null;
}

/** Calls off a replacement that was ordered. */
export function withdraw(order: Order, exchange: Exchange, why: Act & { reason: string }, effects: Effects): void {
  effects.events.push(
    replacementWithdrawn.create(
      { ...onExchange(order, exchange), reason: why.reason, ...acted(why) },
      { sequence: exchange.version },
    ),
  );
}
