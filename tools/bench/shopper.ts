/** A shopper of the benchmark: buys as the storefront would, without thinking. */
import { randomUUID } from "node:crypto";
import type { GraphClient } from "@crowdcrunch/shopper/client";

const setCartLine = `mutation Put($input: SetCartLineInput!) { setCartLine(input: $input) { __typename ... on CartChanged { cart { id version } } ... on Problem { message } } }`;
const quote = `query Quote { cart { id lines { skuId quantity } quote(currency: "GBP", shippingMethod: "standard") { total { amountMinor } lines { skuId quantity priceVersion } } } }`;
const placeOrder = `mutation Place($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename ... on OrderPlaced { order { id number status } } ... on Problem { message } } }`;
const look = `query Look($number: String!) { order(number: $number) { status } }`;

const shipTo = { name: "Sam Shopper", line1: "12 High Street", city: "York", postalCode: "YO1 7HH", countryCode: "GB" };

export interface Purchase {
  orderId: string;
  /** From the start of placeOrder until the client saw CONFIRMED. */
  placeToConfirmedMs: number;
  looks: number;
}

/** How long the client waits before the first look at the order's status, and between the next. */
const firstLookMs = 50;
const lookEveryMs = 30;
const patienceMs = 30_000;

/** Puts two articles into a cart, asks for the price, orders, and looks until the order is CONFIRMED. */
export async function purchase(graph: GraphClient, token: string, skuIds: [string, string]): Promise<Purchase> {
  for (const skuId of skuIds) {
    const { setCartLine: put } = await graph.ask(setCartLine, { input: { skuId, quantity: 1 } }, token);
    if (put.__typename !== "CartChanged") throw new Error(`setCartLine: ${put.message}`);
  }
  const { cart } = await graph.ask(quote, {}, token);
  const placedAtMs = performance.now();
  const input = {
    idempotencyKey: randomUUID(),
    cartId: cart.id,
    lines: cart.quote.lines,
    email: "sam@example.com",
    currency: "GBP",
    shipTo,
    shippingMethod: "standard",
    paymentMethod: { token: "tok_ok" },
    expectedTotalMinor: cart.quote.total.amountMinor,
  };
  const { placeOrder: placed } = await graph.ask(placeOrder, { input }, token);
  if (placed.__typename !== "OrderPlaced") throw new Error(`placeOrder: ${placed.__typename} ${placed.message}`);
  const { id, number } = placed.order;
  for (let looks = 1; ; looks++) {
    await new Promise((resolve) => setTimeout(resolve, looks === 1 ? firstLookMs : lookEveryMs));
    const { status } = (await graph.ask(look, { number }, token)).order;
    const placeToConfirmedMs = performance.now() - placedAtMs;
    if (status === "CONFIRMED") return { orderId: id, placeToConfirmedMs, looks };
    if (!["PENDING", "AWAITING_PAYMENT"].includes(status)) throw new Error(`${number} is ${status}`);
    if (placeToConfirmedMs > patienceMs) throw new Error(`${number} is ${status} after ${patienceMs} ms`);
  }
}

/** Picks indexes below `size` as a catalogue is bought from: few often, many seldom (Zipf, exponent 1). */
export function zipf(size: number, random: () => number): () => number {
  const cumulative: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= size; rank++) cumulative.push((sum += 1 / rank));
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = size - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** Random numbers from a seed (mulberry32), so that runs buy the same. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
