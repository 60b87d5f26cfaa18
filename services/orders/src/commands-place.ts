import type { PostalAddress } from "@crowdcrunch/events/contract";
import type { Database } from "@crowdcrunch/kit/database";
import { forbidden, invalid, isTurnedAway, notFound, problem } from "@crowdcrunch/kit/errors";
import { idempotentWithResult, requireUuid, storedResult } from "@crowdcrunch/kit/idempotency";
import type { IdempotentCall } from "@crowdcrunch/kit/idempotency";
import { actorOf, isStaff } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { signOrderLink } from "@crowdcrunch/kit/order-link";
import { requireAddress } from "@crowdcrunch/kit/postal-address";
import type { PostalAddressInput } from "@crowdcrunch/kit/postal-address";
import { readableNumber } from "@crowdcrunch/kit/readable-number";
import type { Quotes } from "./commands-quote.ts";
import { noShipping } from "./commands-quote.ts";
import type { OrderHead } from "./order.ts";
import { noEffects } from "./order.ts";
import type { LineInput } from "./placing.ts";
import { checkedEmail, place, requireLines } from "./placing.ts";
import { saveEffects } from "./store.ts";
import { createOrders } from "./store-placing.ts";
import { takeCoupon } from "./store-catalogue.ts";
import type { Lists } from "./store-lists.ts";

export interface PlaceOrderInput {
  idempotencyKey: string;
  cartId?: string | null;
  lines: LineInput[];
  email?: string | null;
  currency: string;
  shipTo?: PostalAddressInput | null;
  billTo?: PostalAddressInput | null;
  shippingMethod: string;
  couponCode?: string | null;
  paymentMethod?: { token: string } | null;
  expectedTotalMinor?: number | null;
  customerId?: string | null;
  externalReference?: string | null;
}

export interface PlacingContext {
  db: Database;
  newId: () => string;
  quotes: Quotes;
  lists: Lists;
  config: { PAYMENT_DEADLINE_SECONDS: number; ORDER_LINK_SECRET: string; ORDER_LINK_DAYS: number };
}

const onePerKey = "orders_placed_by_idempotency_key_key";

/** How orders come to be. */
export function createPlacing({ db, newId, quotes, lists, config }: PlacingContext) {
  /** A guest's way back to the order, for mails and pages. */
  function orderToken(order: OrderHead): string {
    const expiresAt = new Date(order.placedAt.getTime() + config.ORDER_LINK_DAYS * 86_400_000);
    return signOrderLink(config.ORDER_LINK_SECRET, { orderId: order.id, customerId: order.customerId, expiresAt });
  }

  async function placed(orderId: string): Promise<OrderHead> {
    const [order] = await lists.ordersById([orderId]);
    if (!order) throw notFound("There is no such order.");
    return order;
  }

  return {
    /** Places an order at PENDING; the same key answers with the same order. */
    async placeOrder(viewer: Viewer, input: PlaceOrderInput): Promise<{ order: OrderHead; orderToken: string }> {
      if (viewer.orderScope !== undefined) throw forbidden("This link is for one order only.");
      const { idempotencyKey, ...request } = input;
      const key = requireUuid(idempotencyKey, "idempotencyKey");
      const call = { principal: viewer.sub, operation: "placeOrder", key, request };
      const order = await placeOnce(viewer, input, call).catch(async (error: unknown) => {
        // Whoever asks again finds what was stored; to wait for a connection twice would make the queue longer.
        if (isTurnedAway(error)) throw error;
        // What was ordered once stays ordered, though a price has changed since or the coupon is used up.
        const stored = await storedResult<{ orderId: string }>(db, call);
        if (stored) return placed(stored.orderId);
        // The order outlives the stored answer: its key is never used twice.
        if ((error as { constraint?: string }).constraint === onePerKey)
          throw problem("KeyReused", "This idempotency key has placed an order before.");
        throw error;
      });
      return { order, orderToken: orderToken(order) };
    },
  };

  async function placeOnce(viewer: Viewer, input: PlaceOrderInput, call: IdempotentCall): Promise<OrderHead> {
    const staff = isStaff(viewer);
    if (
      !staff &&
      (input.customerId != null ||
        input.externalReference != null ||
        input.lines.some((line) => line.agreedUnitMinor != null))
    ) {
      throw forbidden("Only staff may order for somebody else, agree prices and give references.");
    }
    requireLines(input.lines);
    const lines = input.lines.map((line, index) => ({
      ...line,
      skuId: requireUuid(line.skuId, `lines[${index}].skuId`),
    }));
    const email = checkedEmail(input.email);
    const shipTo = input.shipTo ? requireAddress(input.shipTo, "shipTo") : null;
    const billTo = input.billTo ? requireAddress(input.billTo, "billTo") : null;
    const customerId = input.customerId == null ? viewer.sub : requireUuid(input.customerId, "customerId");
    if (input.shippingMethod === noShipping && !staff)
      throw invalid("shippingMethod", "Choose one of shippingMethods.");
    const { price, coupon } = await quotes.priceOrder(
      {
        lines,
        currency: input.currency,
        couponCode: input.couponCode ?? null,
        countryCode: shipTo?.countryCode ?? billTo?.countryCode ?? null,
        shippingMethod: input.shippingMethod,
      },
      input.expectedTotalMinor ?? null,
    );
    requireContacts({ price, email, shipTo, staff, guest: viewer.roles.includes("GUEST") });
    if (price.totals.totalMinor > 0 && !input.paymentMethod?.token)
      throw invalid("paymentMethod", "An order with something to pay needs a payment method.");
    if ((input.paymentMethod?.token.length ?? 0) > 512)
      throw invalid("paymentMethod.token", "This is not a token of the payment provider.");

    const effects = noEffects(newId);
    const order = place(
      {
        id: newId(),
        number: readableNumber(),
        kind: "SALE",
        customerId,
        email,
        currency: input.currency,
        shipTo,
        shippingMethod: input.shippingMethod,
        couponCode: coupon?.code ?? null,
        cartId: input.cartId == null ? null : requireUuid(input.cartId, "cartId"),
        paymentToken: input.paymentMethod?.token ?? null,
        exchangeId: null,
        replacesOrderId: null,
        returnId: null,
        price,
        actor: actorOf(viewer),
      },
      effects,
    );
    const stored = await db.transaction((tx) =>
      idempotentWithResult(tx, call, { orderId: order.id }, async () => {
        if (coupon && !(await takeCoupon(tx, coupon.code)))
          throw problem("CouponRejected", "This coupon has been used up.", { reason: "USED_UP" });
        await createOrders(tx, [
          {
            order,
            billTo,
            externalReference: input.externalReference ?? null,
            placedBy: viewer.sub,
            idempotencyKey: call.key,
            deadlineSeconds: config.PAYMENT_DEADLINE_SECONDS,
          },
        ]);
        await saveEffects(tx, effects);
      }),
    );
    return stored.orderId === order.id ? order : placed(stored.orderId);
  }
}

export type PlacingCommands = ReturnType<typeof createPlacing>;

function requireContacts(given: {
  price: { lines: { digital: boolean }[] };
  email: string | null;
  shipTo: PostalAddress | null;
  staff: boolean;
  guest: boolean;
}): void {
  const { lines } = given.price;
  if (!given.shipTo && lines.some((line) => !line.digital))
    throw invalid("shipTo", "An order with goods to send needs an address.");
  if (given.email === null && lines.some((line) => line.digital))
    throw invalid("email", "Digital goods are sent by e-mail: an address is needed.");
  if (given.email === null && given.guest && !given.staff)
    throw invalid("email", "An order without an account needs an e-mail address.");
}
