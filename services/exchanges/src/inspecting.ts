import { returnInspected, returnReceived } from "@crowdcrunch/events/exchanges";
import type { Disposition } from "@crowdcrunch/events/exchanges";
import { invalid, notPossible } from "@crowdcrunch/kit/errors";
import { withdraw } from "./requesting.ts";
import type { Act, Effects, LineUnits, Order, Return } from "./return.ts";
import { acted, exchangeOf, lineOf, nextWorthMinor, onReturn } from "./return.ts";
import { settle } from "./settling.ts";

// The goods are back: counted, then looked at unit by unit.

/**
 * Records what came; all where no lines are named. Units that did not come are no longer pending. Throws NotPossible, or
 * InvalidInput for units that were not to come.
 */
export function receive(order: Order, given: Return, came: LineUnits[] | null, act: Act, effects: Effects): void {
  if (given.status !== "APPROVED") throw notPossible(given.status, "Only an approved return can be received.");
  const lines = came ?? given.lines.map(({ lineId, quantity }) => ({ lineId, quantity }));
  if (lines.length === 0) throw invalid("lines", "At least one unit must have come: else reject the return.");
  const seen = new Set<string>();
  for (const [index, { lineId, quantity }] of lines.entries()) {
    const line = given.lines.find((candidate) => candidate.lineId === lineId);
    if (!line || seen.has(lineId)) {
      throw invalid(`lines[${index}].lineId`, "Each line of the return may be named once, and no other.");
    }
    seen.add(lineId);
    if (quantity < 1 || quantity > line.quantity) {
      throw invalid(`lines[${index}].quantity`, `${line.quantity} of it were to come.`);
    }
  }
  given.status = "RECEIVED";
  given.receivedAt = act.at;
  for (const line of given.lines) {
    line.received = lines.find(({ lineId }) => lineId === line.lineId)?.quantity ?? 0;
    lineOf(order, line.lineId).pending -= line.quantity - line.received;
  }
  effects.events.push(
    returnReceived.create({ ...onReturn(order, given), lines, ...acted(act) }, { sequence: given.version }),
  );
}

export interface Finding {
  lineId: string;
  quantity: number;
  disposition: Disposition;
}

/**
 * Records what becomes of each received unit: what is not refused is credited. Throws NotPossible, or InvalidInput where
 * the findings are not exactly what was received.
 */
export function inspect(order: Order, given: Return, findings: Finding[], act: Act, effects: Effects): void {
  if (given.status !== "RECEIVED") throw notPossible(given.status, "Only a received return can be inspected.");
  const exchange = exchangeOf(order, given);
  if (exchange?.status === "REPLACING" && exchange.replacementOrderId === null) {
    throw notPossible("REPLACEMENT_PENDING", "Whether there is a replacement is not known yet; try again.");
  }
  const counted = count(given, findings);
  given.status = "SETTLING";
  given.inspectedAt = act.at;
  given.creditMinor = 0;
  for (const line of given.lines) {
    Object.assign(line, counted.get(line.lineId));
    const source = lineOf(order, line.lineId);
    const accepted = line.restocked + line.writtenOff;
    given.creditMinor += nextWorthMinor(source, accepted);
    source.returned += accepted;
    source.pending -= line.received;
  }
  const isAllRefused = findings.every(({ disposition }) => disposition === "REFUSED");
  if (exchange?.status === "REPLACING" && isAllRefused) {
    // Told before the inspection: a replacement without credit must not go out.
    withdraw(order, exchange, { ...act, reason: "NOTHING_ACCEPTED" }, effects);
    exchange.status = "FAILED";
    exchange.failure = "NOTHING_ACCEPTED";
  }
  const lines = findings.map(({ lineId, quantity, disposition }) => {
    return { lineId, skuId: lineOf(order, lineId).skuId, quantity, disposition };
  });
  effects.events.push(
    returnInspected.create(
      {
        ...onReturn(order, given),
        ...(exchange?.status === "REPLACING" ? { exchangeId: exchange.id } : {}),
        lines,
        ...acted(act),
      },
      { sequence: given.version },
    ),
  );
  // Nothing is credited, so orders has nothing to answer.
  if (isAllRefused) settle(order, given, act.at, effects);
}

function count(given: Return, findings: Finding[]) {
  if (findings.length === 0) throw invalid("lines", "Say what becomes of each unit that came.");
  const counted = new Map(given.lines.map(({ lineId }) => [lineId, { restocked: 0, writtenOff: 0, refused: 0 }]));
  const seen = new Set<string>();
  for (const [index, { lineId, quantity, disposition }] of findings.entries()) {
    const units = counted.get(lineId);
    if (!units || seen.has(`${lineId} ${disposition}`)) {
      throw invalid(`lines[${index}].lineId`, "Each line of the return may be named once a disposition, and no other.");
    }
    seen.add(`${lineId} ${disposition}`);
    if (quantity < 1) throw invalid(`lines[${index}].quantity`, "At least 1 unit.");
    if (disposition === "RESTOCK") units.restocked += quantity;
    else if (disposition === "WRITE_OFF") units.writtenOff += quantity;
    else units.refused += quantity;
  }
  for (const { lineId, received } of given.lines) {
    const { restocked, writtenOff, refused } = counted.get(lineId)!;
    if (restocked + writtenOff + refused !== received) {
      throw invalid("lines", `Of line ${lineId} ${received} came; say what becomes of each of them.`);
    }
  }
  return counted;
}
