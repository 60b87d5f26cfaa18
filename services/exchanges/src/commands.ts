import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { invalid, notFound } from "@crowdcrunch/kit/errors";
import { idempotent } from "@crowdcrunch/kit/idempotency";
import { actorOf, isStaff, requireOwner } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { readableNumber } from "@crowdcrunch/kit/readable-number";
import type { Finding } from "./inspecting.ts";
import { inspect, receive } from "./inspecting.ts";
import { approve, checkDemand, checkReplacements, reject, request } from "./requesting.ts";
import type { Act, Effects, LineUnits, Order, Replacement, Return } from "./return.ts";
import { noEffects } from "./return.ts";
import { openBook } from "./store.ts";
import { findOrder, findOrderOfReturn, isErased } from "./store-orders.ts";

export interface CommandContext {
  db: Database;
  newId: () => string;
  config: { RETURN_DAYS: number; RETURN_AUTO_APPROVE: boolean };
}

export interface ReturnDemand {
  idempotencyKey: string;
  orderNumber: string;
  lines: LineUnits[];
  reason: string;
  comment: string | null;
  /** Staff only. */
  externalReference: string | null;
}

export interface ExchangeDemand extends ReturnDemand {
  replacements: Replacement[];
  paymentToken: string | null;
}

/** What every mutation of a return names. */
export interface ReturnInput {
  idempotencyKey: string;
  number: string;
}

/** The commands of exchanges: one transaction each. All resolve to the return's id. */
export function createCommands(context: CommandContext) {
  const { db, newId, config } = context;

  async function open(viewer: Viewer, operation: string, demand: ReturnDemand, wanted: ExchangeDemand | null) {
    const { idempotencyKey, ...rest } = demand;
    checkTexts(viewer, demand);
    const found = await findOrder(db, demand.orderNumber.trim().toUpperCase());
    if (!found) throw notFound("There is no such order, or nothing of it can be returned yet.");
    requireOwner(viewer, found.customerId, found.orderId);
    const call = { principal: viewer.sub, operation, key: idempotencyKey, request: rest };
    return db.transaction((tx) => idempotent(tx, call, () => openUnderLock(tx, viewer, found.orderId, demand, wanted)));
  }

  async function openUnderLock(
    tx: Transaction,
    viewer: Viewer,
    orderId: string,
    demand: ReturnDemand,
    wanted: ExchangeDemand | null,
  ): Promise<{ returnId: string }> {
    const book = await openBook(tx, [orderId]);
    const order = book.get(orderId);
    if (!order) throw notFound();
    requireOwner(viewer, order.customerId, order.orderId);
    const former = formerOf(order, demand);
    if (former) return { returnId: former.id };

    checkDemand(order, demand.lines, { now: book.now, days: config.RETURN_DAYS, staff: isStaff(viewer) });
    if (wanted) checkReplacements(wanted.replacements, demand.lines);
    const comment = demand.comment !== null && (await isErased(tx, order.customerId)) ? null : demand.comment;
    const effects = noEffects();
    const exchange = wanted && {
      id: newId(),
      replacements: wanted.replacements,
      paymentToken: wanted.paymentToken,
    };
    const opened = request(
      order,
      { id: newId(), number: `R-${readableNumber()}`, ...demand, comment, ...(exchange ? { exchange } : {}) },
      { at: book.now, actor: actorOf(viewer) },
      effects,
    );
    if (config.RETURN_AUTO_APPROVE) approve(order, opened, { at: book.now }, effects);
    await book.save(effects, newId);
    return { returnId: opened.id };
  }

  /** Changes one return under its order's lock, once for a key. */
  async function change(
    viewer: Viewer,
    call: { operation: string; input: ReturnInput; request: object },
    act: (order: Order, given: Return, act: Act, effects: Effects) => void,
  ): Promise<{ returnId: string }> {
    const number = call.input.number.trim().toUpperCase();
    const orderId = await findOrderOfReturn(db, number);
    if (orderId === undefined) throw notFound("There is no such return.");
    const { operation } = call;
    const identity = { principal: viewer.sub, operation, key: call.input.idempotencyKey };
    return db.transaction((tx) =>
      idempotent(tx, { ...identity, request: { number, ...call.request } }, async () => {
        const book = await openBook(tx, [orderId]);
        const order = book.get(orderId);
        const given = order?.returns.find((candidate) => candidate.number === number);
        if (!order || !given) throw notFound("There is no such return.");
        const effects = noEffects();
        act(order, given, { at: book.now, actor: actorOf(viewer) }, effects);
        await book.save(effects, newId);
        return { returnId: given.id };
      }),
    );
  }

  return {
    /** The shopper sends goods back for their money; staff may do it for anybody, also after the window. */
    requestReturn: (viewer: Viewer, demand: ReturnDemand) => open(viewer, "requestReturn", demand, null),

    /** The shopper sends goods back for others. */
    requestExchange: (viewer: Viewer, demand: ExchangeDemand) => open(viewer, "requestExchange", demand, demand),

    approveReturn: (viewer: Viewer, input: ReturnInput) =>
      change(viewer, { operation: "approveReturn", input, request: {} }, approve),

    rejectReturn: (viewer: Viewer, input: ReturnInput & { reason: string }) =>
      change(
        viewer,
        { operation: "rejectReturn", input, request: { reason: input.reason } },
        (order, given, act, effects) => reject(order, given, { ...act, reason: input.reason }, effects),
      ),

    /** The goods are back; all of them where no lines are named. */
    receiveReturn: (viewer: Viewer, input: ReturnInput & { lines: LineUnits[] | null }) =>
      change(
        viewer,
        { operation: "receiveReturn", input, request: { lines: input.lines } },
        (order, given, act, effects) => receive(order, given, input.lines, act, effects),
      ),

    /** What becomes of each unit that came back. */
    inspectReturn: (viewer: Viewer, input: ReturnInput & { lines: Finding[] }) =>
      change(
        viewer,
        { operation: "inspectReturn", input, request: { lines: input.lines } },
        (order, given, act, effects) => inspect(order, given, input.lines, act, effects),
      ),
  };
}

function checkTexts(viewer: Viewer, { comment, externalReference }: ReturnDemand): void {
  if (comment !== null && comment.length > 2_000) throw invalid("comment", "At most 2,000 characters.");
  if (externalReference === null) return;
  if (!isStaff(viewer)) throw invalid("externalReference", "Only staff may give one.");
  if (externalReference.length === 0 || externalReference.length > 64) {
    throw invalid("externalReference", "1 to 64 characters.");
  }
}

/** A return of the order that was made under the same external reference: asking again, whoever asks, changes nothing. */
function formerOf(order: Order, { externalReference, lines }: ReturnDemand): Return | undefined {
  if (externalReference === null) return undefined;
  const former = order.returns.find((candidate) => candidate.externalReference === externalReference);
  if (!former) return undefined;
  const isSame =
    former.lines.length === lines.length &&
    former.lines.every(({ lineId, quantity }) =>
      lines.some((line) => line.lineId === lineId && line.quantity === quantity),
    );
  if (!isSame) throw invalid("externalReference", "A return with this reference and other lines is there already.");
  return former;
}

export type Commands = ReturnType<typeof createCommands>;
