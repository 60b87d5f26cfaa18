import type { EventToEmit } from "@crowdcrunch/events/contract";
import { digitalDeliverySent, shipmentDelivered, shipmentDispatched } from "@crowdcrunch/events/fulfillment";
import { productChanged, stockRejected, stockReserved } from "@crowdcrunch/events/inventory";
import { paymentAuthorized, paymentCaptured, paymentDeclined } from "@crowdcrunch/events/payments";
import type { Logger } from "@crowdcrunch/kit/logger";
import { until, testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { randomUUID } from "node:crypto";
import { orders } from "../src/service.ts";

export const newId = (): string => randomUUID();
export const mug = { skuId: newId(), productId: newId(), minor: 1250 };
export const book = { skuId: newId(), productId: newId(), minor: 899 };
export const address = {
  name: "Ada Byron",
  line1: "1 Lime Street",
  city: "London",
  postalCode: "EC3M 7AA",
  countryCode: "GB",
};

/** The orders service with a small catalogue: a mug, and a book to download. */
export async function openOrders(env: Record<string, string> = {}, log?: Logger): Promise<TestService> {
  const service = await testService(orders, {
    env: { ORDER_LINK_SECRET: "a-secret-for-order-links", ...env },
    ...(log ? { log } : {}),
  });
  await service.deliver(product(mug, "Blue mug", 1, false), product(book, "Slow bread, e-book", 1, true));
  return service;
}

export function product(
  item: { skuId: string; productId: string; minor: number },
  name: string,
  version: number,
  digital: boolean,
): EventToEmit {
  const sku = {
    skuId: item.skuId,
    code: name.toUpperCase(),
    name,
    options: [],
    digital,
    taxClass: digital ? "zero" : "standard",
    priceVersion: version,
    prices: [{ currency: "GBP", amountMinor: item.minor }],
  };
  return productChanged.create(
    {
      productId: item.productId,
      version,
      published: true,
      slug: name.toLowerCase().replaceAll(/\W+/g, "-"),
      name,
      description: name,
      categories: [],
      skus: [sku],
    },
    { sequence: version },
  );
}

const placeOrder = `mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename
  ... on OrderPlaced { orderToken order { id number status total { amountMinor } lines { id name quantity } } }
  ... on Problem { message } ... on InvalidInput { field } ... on PriceChanged { quote { total { amountMinor } lines { priceVersion } } }
  ... on UnknownSku { skuId } ... on CouponRejected { reason } } }`;

/** An order for two mugs, with what a test changes about it. */
export function input(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    idempotencyKey: newId(),
    lines: [{ skuId: mug.skuId, quantity: 2 }],
    email: "ada@example.com",
    currency: "GBP",
    shipTo: address,
    shippingMethod: "standard",
    paymentMethod: { token: "tok_ok" },
    ...changes,
  };
}

export async function place(service: TestService, token: string, changes: Record<string, unknown> = {}) {
  const answer = await service.graph(placeOrder, { input: input(changes) }, { token });
  if (!answer.data?.placeOrder) throw new Error(JSON.stringify(answer.errors));
  return answer.data.placeOrder;
}

export async function look(service: TestService, token: string, number: string) {
  const query = `query ($number: String!) { order(number: $number) { id status paymentState paymentUrl version total { amountMinor }
    lines { id quantity shippedQuantity deliveredQuantity cancelledQuantity returnedQuantity } timeline { what detail actor { role } } } }`;
  return (await service.graph(query, { number }, { token })).data.order;
}

/** Waits until the order has the status. */
export async function reach(service: TestService, token: string, number: string, status: string) {
  await until(async () => (await look(service, token, number))?.status === status, `${number} ${status}`);
}

interface Placed {
  id: string;
  lines: { id: string; quantity: number }[];
}

/** Other services' replies about an order of a customer, as they would send them. */
export function replies(order: Placed, customerId: string) {
  let version = 0;
  const onOrder = () => ({ orderId: order.id, customerId, version: (version += 1) });
  const make = <Data extends object>(
    contract: { create(data: Data, options: { sequence: number }): EventToEmit },
    data: Omit<Data, "orderId" | "customerId" | "version">,
  ) => contract.create({ ...onOrder(), ...data } as unknown as Data, { sequence: version });
  const all = order.lines.map(({ id, quantity }) => ({ lineId: id, quantity }));
  const at = new Date().toISOString();
  return {
    make,
    all,
    at,
    reserved: () => make(stockReserved, { reservations: [] }),
    rejected: (available: number) =>
      make(stockRejected, {
        lines: order.lines.map(({ id, quantity }) => ({ lineId: id, requested: quantity, available })),
      }),
    authorized: (paymentId: string, amountMinor: number, attempt = 1) =>
      make(paymentAuthorized, { paymentId, attempt, amountMinor, currency: "GBP", expiresAt: at }),
    declined: (paymentId: string, attempt = 1) =>
      make(paymentDeclined, { paymentId, attempt, code: "CARD_DECLINED", retryable: false }),
    captured: (paymentId: string, captureSequence: number, amountMinor: number) =>
      make(paymentCaptured, { paymentId, captureSequence, amountMinor, currency: "GBP" }),
    dispatched: (lines = all) => make(shipmentDispatched, { shipmentId: newId(), trackingCode: "TRACK1", lines, at }),
    delivered: (lines = all) => make(shipmentDelivered, { shipmentId: newId(), lines, at }),
    sent: (lines = all) => make(digitalDeliverySent, { deliveryId: newId(), lines, at }),
  };
}
