import { createHash } from "node:crypto";
import { orderRejected } from "@crowdcrunch/events/orders";
import type { replacementRequested, returnInspected } from "@crowdcrunch/events/exchanges";
import type { EventOf, ParsedEvent } from "@crowdcrunch/events/contract";
import type { Transaction } from "@crowdcrunch/kit/database";
import { Problem } from "@crowdcrunch/kit/errors";
import { readableNumber } from "@crowdcrunch/kit/readable-number";
import { cancelAtOnce } from "./cancelling.ts";
import type { Effects, Order, Outcome } from "./order.ts";
import { isBeforeConfirmed, note } from "./order.ts";
import { settleReplacement } from "./paying.ts";
import { place } from "./placing.ts";
import { price } from "./pricing.ts";
import { creditLines, refundFromFunding } from "./refunding.ts";
import { momentAfter } from "./store.ts";
import { createOrders } from "./store-placing.ts";
import { findSkus, findTaxRates } from "./store-catalogue.ts";
import { findReplacements } from "./store-lists.ts";

/** The child order's id follows from the exchange, so that asking twice makes one order. A UUID of version 8. */
export function replacementId(exchangeId: string): string {
  const hex = createHash("sha256").update(`replacement of ${exchangeId}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Returned goods: credited, or exchanged for another order. */
export function createReplacements(context: { config: { PAYMENT_DEADLINE_SECONDS: number } }) {
  const deadlineSeconds = context.config.PAYMENT_DEADLINE_SECONDS;

  return {
    /** The existing child orders of the exchanges that the events name. */
    async childrenOf(tx: Transaction, events: ParsedEvent[]): Promise<Map<string, string>> {
      const exchangeIds = events.flatMap((event) => {
        const { exchangeId } = event.data as { exchangeId?: string };
        return exchangeId ? [exchangeId] : [];
      });
      if (exchangeIds.length === 0) return new Map();
      const existing = new Set(await findReplacements(tx, exchangeIds));
      return new Map(
        exchangeIds.map((id) => [id, replacementId(id)] as const).filter(([, child]) => existing.has(child)),
      );
    },

    /** What came back is credited: to the replacement, or to what paid for the order. */
    async inspect(
      tx: Transaction,
      order: Order,
      child: Order | undefined,
      event: EventOf<typeof returnInspected>,
      effects: Effects,
    ): Promise<Outcome> {
      const { exchangeId, returnId } = event.data;
      if (exchangeId && (!child || child.status === "PENDING")) return "wait";
      const accepted = event.data.lines.filter((line) => line.disposition !== "REFUSED");
      const creditMinor = creditLines(order, accepted);
      note(effects, order, "RETURN_INSPECTED", event.data.number, event.data.actor);
      if (child?.status === "AWAITING_RETURN") {
        const source = order.funding.find(({ amountMinor }) => amountMinor >= creditMinor) ?? order.funding[0];
        if (source) source.amountMinor -= Math.min(source.amountMinor, creditMinor);
        const deadlineAt = await momentAfter(tx, deadlineSeconds);
        settleReplacement(child, creditMinor, { paymentId: source?.paymentId ?? null, deadlineAt }, effects);
        return "apply";
      }
      if (accepted.length === 0) return "apply";
      const lines = accepted.map(({ lineId, quantity }) => ({ lineId, quantity }));
      refundFromFunding(
        order,
        { amountMinor: creditMinor, reason: "RETURN", returnId, lines, actor: event.data.actor },
        effects,
      );
      return "apply";
    },

    /** Creates the child order; one that cannot be made is answered as rejected. */
    async request(
      tx: Transaction,
      order: Order,
      event: EventOf<typeof replacementRequested>,
      effects: Effects,
    ): Promise<Outcome> {
      const { exchangeId, returnId, lines, paymentToken, actor } = event.data;
      const skus = await findSkus(
        tx,
        lines.map(({ skuId }) => skuId),
      );
      const taxRates = await findTaxRates(tx, order.shipTo?.countryCode ?? "GB");
      const wanted = lines.map(({ skuId, quantity, replacesLineId }) => {
        const former = order.lines.find((line) => line.id === replacesLineId && line.skuId === skuId);
        return {
          skuId,
          quantity,
          ...(former ? { agreedUnitMinor: Math.floor(former.paidMinor / former.quantity) } : {}),
        };
      });
      try {
        const priced = price({ lines: wanted, skus, currency: order.currency, taxRates, shipping: null, coupon: null });
        const child = place(
          {
            id: replacementId(exchangeId),
            number: readableNumber(),
            kind: "REPLACEMENT",
            customerId: order.customerId,
            email: order.email,
            currency: order.currency,
            shipTo: order.shipTo,
            shippingMethod: order.shippingMethod,
            couponCode: null,
            cartId: null,
            paymentToken: paymentToken ?? null,
            exchangeId,
            replacesOrderId: order.id,
            returnId,
            price: priced,
            actor,
            detail: `for order ${order.number}`,
          },
          effects,
        );
        await createOrders(tx, [
          {
            order: child,
            billTo: null,
            externalReference: null,
            placedBy: order.customerId,
            idempotencyKey: exchangeId,
            deadlineSeconds: null,
          },
        ]);
        note(effects, order, "REPLACEMENT_PLACED", child.number, actor);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        note(effects, order, "REPLACEMENT_IMPOSSIBLE", error.message, actor);
        const rejected = { orderId: replacementId(exchangeId), customerId: order.customerId, version: 1 };
        const short = lines.map((line, index) => ({
          lineId: event.data.returnedLines[index]?.lineId ?? exchangeId,
          skuId: line.skuId,
          requested: line.quantity,
          available: 0,
        }));
        effects.events.push(
          orderRejected.create(
            { ...rejected, number: order.number, exchangeId, reason: "UNKNOWN_SKU", lines: short },
            { sequence: 1 },
          ),
        );
      }
      return "apply";
    },

    withdraw(child: Order | undefined, effects: Effects): Outcome {
      if (!child || !isBeforeConfirmed(child.status)) return "ignore";
      cancelAtOnce(child, "WITHDRAWN", effects);
      return "apply";
    },
  };
}

export type ReplacementCommands = ReturnType<typeof createReplacements>;
