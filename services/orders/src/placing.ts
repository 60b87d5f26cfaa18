import { invalid } from "@crowdcrunch/kit/errors";
import type { PostalAddress } from "@crowdcrunch/events/contract";
import { orderPlaced } from "@crowdcrunch/events/orders";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { Effects, Order } from "./order.ts";
import { note, onOrderKey } from "./order.ts";
import type { Price } from "./pricing.ts";

export interface LineInput {
  skuId: string;
  quantity: number;
  priceVersion?: number | null | undefined;
  agreedUnitMinor?: number | null | undefined;
}

const linesAtMost = 1_000;
const quantityAtMost = 100_000;
const email = /^[^\s@]{1,64}@[^\s@]{1,189}\.[^\s@]{1,63}$/;

/** Checks the lines before anything is looked up. Throws InvalidInput that names the line. */
export function requireLines(lines: LineInput[]): void {
  if (lines.length === 0) throw invalid("lines", "An order has at least one line.");
  if (lines.length > linesAtMost)
    throw invalid("lines", `An order has at most ${linesAtMost} lines; this has ${lines.length}.`);
  for (const [index, line] of lines.entries()) {
    if (!Number.isInteger(line.quantity) || line.quantity < 1 || line.quantity > quantityAtMost) {
      throw invalid(`lines[${index}].quantity`, `A line has 1 to ${quantityAtMost} units, in whole numbers.`);
    }
    const agreed = line.agreedUnitMinor;
    if (agreed != null && (!Number.isSafeInteger(agreed) || agreed < 0)) {
      throw invalid(`lines[${index}].agreedUnitMinor`, "A price is a whole number of minor units, zero or more.");
    }
  }
}

/** The address in lower case, or null where none was given. Throws InvalidInput. */
export function checkedEmail(text: string | null | undefined): string | null {
  if (text == null || text.trim() === "") return null;
  const trimmed = text.trim().toLowerCase();
  if (trimmed.length > 254 || !email.test(trimmed)) throw invalid("email", "This is not an e-mail address.");
  return trimmed;
}

export interface Placing {
  id: string;
  number: string;
  kind: Order["kind"];
  customerId: string;
  email: string | null;
  currency: string;
  shipTo: PostalAddress | null;
  shippingMethod: string;
  couponCode: string | null;
  cartId: string | null;
  paymentToken: string | null;
  exchangeId: string | null;
  replacesOrderId: string | null;
  returnId: string | null;
  price: Price;
  actor: Actor | undefined;
  detail?: string;
}

/** The new order, PENDING, with order-placed among the effects. */
export function place(placing: Placing, effects: Effects): Order {
  const { price, actor, detail, ...given } = placing;
  const order: Order = {
    ...given,
    status: "PENDING",
    version: 0,
    totals: price.totals,
    creditMinor: null,
    funding: [],
    stockReserved: false,
    paymentId: null,
    paymentState: "NONE",
    paymentAttempt: 0,
    paymentUrl: null,
    dueMinor: price.totals.totalMinor,
    captureSequence: 0,
    captureAskedMinor: 0,
    capturedMinor: 0,
    refundedMinor: 0,
    awaitsStock: false,
    awaitsVoid: false,
    deadlineAt: null,
    placedAt: new Date(0),
    lines: price.lines.map((line, position) => ({
      id: effects.newId(),
      position,
      skuId: line.skuId,
      productId: line.productId,
      name: line.name,
      quantity: line.quantity,
      unitMinor: line.unitMinor,
      taxMinor: line.taxMinor,
      discountMinor: line.discountMinor,
      paidMinor: line.paidMinor,
      digital: line.digital,
      priceVersion: line.priceVersion,
      agreed: line.agreed,
      shipped: 0,
      delivered: 0,
      lost: 0,
      cancelled: 0,
      returned: 0,
      refundedMinor: 0,
    })),
  };
  note(effects, order, "PLACED", detail, actor);
  effects.events.push(
    orderPlaced.create(
      {
        ...onOrderKey(order),
        number: order.number,
        kind: order.kind,
        ...(order.cartId ? { cartId: order.cartId } : {}),
        ...(order.exchangeId ? { exchangeId: order.exchangeId } : {}),
        lines: order.lines.map((line) => ({
          lineId: line.id,
          skuId: line.skuId,
          productId: line.productId,
          name: line.name,
          quantity: line.quantity,
          unitMinor: line.unitMinor,
          digital: line.digital,
        })),
        totals: order.totals,
        currency: order.currency,
      },
      { sequence: order.version },
    ),
  );
  return order;
}
