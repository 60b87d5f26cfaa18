/** What a shopper does, each step one or two operations of the public graph. */
import { randomUUID } from "node:crypto";
import type { GraphClient } from "./client.ts";
import { Problem } from "@crowdcrunch/kit/program";
import { until } from "./patience.ts";
import type { Money } from "./words.ts";

const startGuestSession = `mutation Guest { startGuestSession { __typename ... on GuestSession { accessToken guestId } } }`;
const setCartLine = `mutation Put($input: SetCartLineInput!) { setCartLine(input: $input) { __typename ... on CartChanged { cart { lines { quantity } } } ... on Problem { message } } }`;
const signUp = `mutation SignUp($input: SignUpInput!) { signUp(input: $input) { __typename ... on SignedIn { accessToken user { id email } } ... on Problem { message } } }`;
const quote = `query Quote { cart { id lines { skuId quantity } quote(currency: "GBP", shippingMethod: "standard") {
  items { amountMinor currency } tax { amountMinor currency } shipping { amountMinor currency } total { amountMinor currency }
  lines { skuId quantity priceVersion } } } }`;
const placeOrder = `mutation Place($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename ... on OrderPlaced { order { number lines { id quantity digital } } } ... on Problem { message } } }`;
const requestReturn = `mutation Return($input: RequestReturnInput!) { requestReturn(input: $input) { __typename ... on ReturnRequested { return { number } } ... on Problem { message } } }`;

const shipTo = { name: "Ada Archer", line1: "12 High Street", city: "York", postalCode: "YO1 7HH", countryCode: "GB" };

export interface Answer {
  __typename: string;
  message?: string;
  [field: string]: any;
}

/** One mutation; throws a Problem unless it answers with the type expected. */
export async function act(
  graph: GraphClient,
  mutation: string,
  call: { input?: Record<string, unknown>; token?: string | undefined; expected: string },
): Promise<Answer> {
  const data = await graph.ask(mutation, call.input ? { input: call.input } : {}, call.token);
  const answer = Object.values(data)[0] as Answer;
  if (answer.__typename !== call.expected)
    throw new Problem(`The shop answers ${answer.__typename} in place of ${call.expected}: ${answer.message ?? ""}`);
  return answer;
}

/** Resolves to the guest's token. */
export async function visit(graph: GraphClient): Promise<string> {
  return (await act(graph, startGuestSession, { expected: "GuestSession" }))["accessToken"];
}

export async function putIntoCart(graph: GraphClient, token: string, skuId: string, quantity: number): Promise<void> {
  await act(graph, setCartLine, { input: { skuId, quantity }, token, expected: "CartChanged" });
}

/** Makes an account for the guest. Resolves to the account's token and address. */
export async function makeAccount(graph: GraphClient, guestToken: string): Promise<{ token: string; email: string }> {
  const email = `ada.${randomUUID().slice(0, 8)}@example.com`;
  const input = { email, password: randomUUID(), name: shipTo.name };
  const answer = await act(graph, signUp, { input, token: guestToken, expected: "SignedIn" });
  return { token: answer["accessToken"], email };
}

export interface Quote {
  cartId: string;
  lines: { skuId: string; quantity: number; priceVersion: number }[];
  items: Money;
  tax: Money;
  shipping: Money;
  total: Money;
}

/** The cart's price, once so many lines are in it: a guest's cart follows into an account a moment after it. */
export function quoteOf(graph: GraphClient, token: string, lines: number): Promise<Quote> {
  return until("The cart with its price", async () => {
    const { cart } = await graph.ask(quote, {}, token);
    if (cart?.quote?.lines.length !== lines) return undefined;
    return { cartId: cart.id as string, ...(cart.quote as Omit<Quote, "cartId">) };
  });
}

export interface PlacedOrder {
  number: string;
  lines: { id: string; quantity: number; digital: boolean }[];
}

/** Orders the cart at the price that was shown. */
export async function order(
  graph: GraphClient,
  shopper: { token: string; email: string },
  { cartId, lines, total }: Quote,
): Promise<PlacedOrder> {
  const input = {
    idempotencyKey: randomUUID(),
    cartId,
    lines: lines.map(({ skuId, quantity, priceVersion }) => ({ skuId, quantity, priceVersion })),
    email: shopper.email,
    currency: total.currency,
    shipTo,
    shippingMethod: "standard",
    paymentMethod: { token: "tok_ok" },
    expectedTotalMinor: total.amountMinor,
  };
  return (await act(graph, placeOrder, { input, token: shopper.token, expected: "OrderPlaced" }))["order"];
}

/** Asks to send one unit of the order's parcel back, once the shop knows that it has arrived. Resolves to the number. */
export function sendOneBack(
  graph: GraphClient,
  token: string,
  placed: PlacedOrder,
): Promise<{ number: string; lineId: string }> {
  const line = placed.lines.find(({ digital }) => !digital)!;
  const idempotencyKey = randomUUID();
  const lines = [{ lineId: line.id, quantity: 1 }];
  const input = { idempotencyKey, orderNumber: placed.number, lines, reason: "CHANGED_MIND" };
  return until("The right to return", async () => {
    const { requestReturn: answer } = await graph.ask(requestReturn, { input }, token);
    if (answer.__typename === "ReturnRequested") return { number: answer.return.number, lineId: line.id };
    if (["NotReturnable", "NotFound"].includes(answer.__typename)) return undefined;
    throw new Problem(`The shop answers ${answer.__typename}: ${answer.message}`);
  });
}
