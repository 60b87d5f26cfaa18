import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { idempotent } from "@crowdcrunch/kit/idempotency";
import { actorOf, isStaff, requireOwner } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { cancel, cancelAtOnce } from "./cancelling.ts";
import type { Effects, LineUnits, Order, OrderHead } from "./order.ts";
import { isBeforeConfirmed, noEffects } from "./order.ts";
import { requestPayment } from "./paying.ts";
import { refundFromFunding, refundableMinor } from "./refunding.ts";
import { hasOpenCancellation, openBook } from "./store.ts";
import type { Lists } from "./store-lists.ts";
import { findOverdue } from "./store-lists.ts";

export interface CommandContext {
  db: Database;
  newId: () => string;
  lists: Lists;
}

const overdueAtOnce = 100;

/** The commands of orders: one transaction each. */
export function createCommands(context: CommandContext) {
  const { db, newId, lists } = context;

  /** Changes one order under its lock, once for a key. Throws NotFound for a stranger. */
  async function change(
    viewer: Viewer,
    call: { operation: string; number: string; idempotencyKey: string; request: unknown },
    act: (order: Order, effects: Effects, tx: Transaction) => Promise<void> | void,
  ): Promise<OrderHead> {
    const [found] = await lists.ordersByNumber([call.number]);
    if (!found) throw notFound("There is no such order.");
    requireOwner(viewer, found.customerId, found.id);
    await db.transaction((tx) =>
      idempotent(
        tx,
        { principal: viewer.sub, operation: call.operation, key: call.idempotencyKey, request: call.request },
        async () => {
          const book = await openBook(tx, [found.id]);
          const order = book.get(found.id);
          if (!order) throw notFound("There is no such order.");
          requireOwner(viewer, order.customerId, order.id);
          const effects = noEffects(newId);
          await act(order, effects, tx);
          await book.save(effects);
          return {};
        },
      ),
    );
    const [order] = await lists.ordersById([found.id]);
    if (!order) throw notFound("There is no such order.");
    return order;
  }

  return {
    /** Another card for an order whose last one was declined. */
    payOrder(
      viewer: Viewer,
      input: { number: string; idempotencyKey: string; paymentMethod: { token: string } },
    ): Promise<OrderHead> {
      const { number, idempotencyKey, paymentMethod } = input;
      if (paymentMethod.token.length === 0 || paymentMethod.token.length > 512)
        throw invalid("paymentMethod.token", "This is not a token of the payment provider.");
      return change(
        viewer,
        { operation: "payOrder", number, idempotencyKey, request: { number, paymentMethod } },
        (order, effects) => {
          if (order.status !== "AWAITING_PAYMENT")
            throw notPossible(order.status, "This order does not wait for a payment.");
          if (order.paymentState === "REQUESTED")
            throw notPossible(order.paymentState, "A payment of this order is being made.");
          requestPayment(order, paymentMethod.token, effects);
        },
      );
    },

    /** Cancels what can still be cancelled: at once before CONFIRMED, by fulfillment's word after it. */
    cancelOrder(viewer: Viewer, input: { number: string; idempotencyKey: string }): Promise<OrderHead> {
      const { number, idempotencyKey } = input;
      return change(
        viewer,
        { operation: "cancelOrder", number, idempotencyKey, request: { number } },
        async (order, effects, tx) => {
          const pending = !isBeforeConfirmed(order.status) && (await hasOpenCancellation(tx, order.id));
          cancel(order, { actor: actorOf(viewer), reason: isStaff(viewer) ? "STAFF" : "SHOPPER", pending }, effects);
        },
      );
    },

    /** Gives money back without a return; staff's decision. */
    refundOrder(
      viewer: Viewer,
      input: {
        number: string;
        idempotencyKey: string;
        amountMinor: number;
        reason?: string;
        lines?: LineUnits[] | null | undefined;
      },
    ): Promise<OrderHead> {
      const { idempotencyKey, reason = "GOODWILL", ...rest } = input;
      const request = { ...rest, reason };
      if (input.amountMinor < 1) throw invalid("amountMinor", "A refund is one minor unit or more.");
      if (reason !== "GOODWILL" && reason !== "LOST") throw invalid("reason", "A reason is GOODWILL or LOST.");
      return change(
        viewer,
        { operation: "refundOrder", number: input.number, idempotencyKey, request },
        (order, effects) => {
          const atMost = refundableMinor(order);
          if (input.amountMinor > atMost)
            throw invalid("amountMinor", `At most ${atMost} can be given back for this order.`);
          const lines = input.lines ?? [];
          for (const [index, { lineId, quantity }] of lines.entries()) {
            const line = order.lines.find(({ id }) => id === lineId);
            if (!line || quantity < 1 || quantity > line.quantity)
              throw invalid(`lines[${index}]`, "The order has no such line, or not so many units of it.");
          }
          refundFromFunding(
            order,
            { amountMinor: input.amountMinor, reason, returnId: null, lines, actor: actorOf(viewer) },
            effects,
          );
        },
      );
    },

    /**
     * Cancels orders whose deadline has passed. The row lock decides between this and a payment that arrives: who comes
     * second finds the order in its new state. Resolves to true when there may be more.
     */
    async expireOverdue(): Promise<boolean> {
      const ids = await findOverdue(db, overdueAtOnce);
      if (ids.length === 0) return false;
      await db.transaction(async (tx) => {
        const book = await openBook(tx, ids);
        const stillOverdue = new Set(await findOverdue(tx, overdueAtOnce));
        const effects = noEffects(newId);
        for (const id of ids) {
          const order = book.get(id);
          if (order && stillOverdue.has(id)) cancelAtOnce(order, "DEADLINE", effects);
        }
        await book.save(effects);
      });
      return ids.length === overdueAtOnce;
    },
  };
}

export type Commands = ReturnType<typeof createCommands>;
