import { randomUUID } from "node:crypto";
import { until } from "@crowdcrunch/kit/testing/service";
import { literalOf } from "./arguments.ts";
import type { KnownValues } from "./arguments.ts";
import { begunEntities } from "./begun-services.ts";
import type { OpenServices } from "./open-services.ts";

/** What one customer has in the shop, one thing of each kind, for others to be kept from. */
export interface OwnersThings {
  ownerId: string;
  orderId: string;
  /** Keys of each entity, by its name: those of the owner's thing, or of what is public. */
  references: Record<string, Record<string, string>[]>;
  /** The owner's things as arguments. */
  values: KnownValues;
  /** Arguments that are nobody's, where a generated one would be refused before anybody asks who calls. */
  neutral: KnownValues;
  /** The mutations that were done on the way, as they were asked and answered. */
  acts: Act[];
}

export interface Act {
  service: string;
  mutation: string;
  /** The whole operation, with the variable `input`. */
  query: string;
  input: Record<string, unknown>;
  token: string;
  result: Record<string, unknown>;
}

const shipTo = { name: "Ada Byron", line1: "1 Lime Street", city: "London", postalCode: "EC3M 7AA", countryCode: "GB" };

/** Lets a customer buy three mugs, get a refund, return one and exchange another; and leave a cart. */
export async function buyForOwner(services: OpenServices): Promise<OwnersThings> {
  const staff = await services.token({ roles: ["STAFF"] });
  const email = `${randomUUID()}@example.com`;
  const password = "correct horse battery";
  const signUp = `mutation { signUp(input: ${literalOf({ email, password })}) { ... on SignedIn { accessToken user { id } } } }`;
  const { data: signedUp } = await services.ask("users", signUp);
  const ownerToken = signedUp.signUp.accessToken as string;
  const ownerId = signedUp.signUp.user.id as string;

  const acts: Act[] = [];

  async function ask(service: string, query: string, variables: Record<string, unknown> = {}, token = ownerToken) {
    const { data, errors } = await services.ask(service, query, token, variables);
    if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`);
    return data;
  }

  /** Does a mutation of one input and gives its success. */
  async function act(
    service: string,
    mutation: string,
    success: string,
    input: Record<string, unknown>,
    token = ownerToken,
  ) {
    const inputType =
      mutation === "recordDelivery" ? "ShipmentInput" : `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
    const query = `mutation ($input: ${inputType}!) { ${mutation}(input: $input) { __typename ... on Problem { message } ${success} } }`;
    const { [mutation]: result } = await ask(service, query, { input }, token);
    if (!success.includes(`on ${result.__typename} `)) throw new Error(`${mutation}: ${JSON.stringify(result)}`);
    acts.push({ service, mutation, query, input, token, result });
    return result;
  }

  /** Asks until the answer is something. */
  async function wait<Found>(what: string, look: () => Promise<Found | null | undefined>): Promise<Found> {
    let found: Found | null | undefined;
    await until(async () => (found = await look()) != null && (found as unknown) !== false, what);
    return found as Found;
  }

  const entity = async (service: string, type: string, id: string, selection: string, token = ownerToken) =>
    (
      await ask(
        service,
        `{ _entities(representations: [{ __typename: "${type}", id: "${id}" }]) { ... on ${type} { ${selection} } } }`,
        {},
        token,
      )
    )._entities[0];

  const imported = await act(
    "inventory",
    "importProducts",
    "... on ProductsImported { products { id slug skus { id } } }",
    { products: [{ code: "MUG", name: "Blue mug", prices: [{ currency: "GBP", amountMinor: 1250 }], stock: 1000 }] },
    staff,
  );
  const [mug] = imported.products;
  const skuId = mug.skus[0].id as string;
  const category = await wait(
    "the starter catalogue",
    async () => (await ask("inventory", "{ categories { id } }")).categories[0],
  );

  const { cart } = await act("frontend", "setCartLine", "... on CartChanged { cart { id } }", { skuId, quantity: 1 });
  const { address } = await act("customers", "saveAddress", "... on AddressSaved { address { id } }", {
    address: shipTo,
  });
  const knowsMug = async () =>
    (await services.ask("orders", mugQuote(skuId), ownerToken)).data?._entities[0].quote.unavailable.length === 0;
  await until(knowsMug, "the price of the mug");
  const { order } = await act("orders", "placeOrder", "... on OrderPlaced { order { id number lines { id } } }", {
    idempotencyKey: randomUUID(),
    lines: [{ skuId, quantity: 3 }],
    email,
    currency: "GBP",
    shipTo,
    shippingMethod: "standard",
    paymentMethod: { token: "tok_ok" },
  });
  const lineId = order.lines[0].id as string;

  const shipment = await wait(
    "a parcel",
    async () =>
      (await entity("fulfillment", "Order", order.id, "shipments { id trackingCode }"))?.shipments?.[0] as
        | { id: string; trackingCode: string }
        | undefined,
  );
  const parcel = () => ({ idempotencyKey: randomUUID(), shipmentId: shipment.id });
  await act("fulfillment", "dispatchShipment", "... on ShipmentDispatched { shipment { id } }", parcel(), staff);
  await act("fulfillment", "recordDelivery", "... on DeliveryRecorded { shipment { id } }", parcel(), staff);
  const statusOf = async () => (await ask("orders", `{ order(number: "${order.number}") { status } }`)).order.status;
  await wait("that the order is complete", async () => (await statusOf()) === "COMPLETED");

  await act(
    "orders",
    "refundOrder",
    "... on RefundStarted { order { id } }",
    { idempotencyKey: randomUUID(), number: order.number, amountMinor: 100 },
    staff,
  );
  const payment = await wait("a refund", async () => {
    const found = await entity("payments", "Order", order.id, "payments { id refunds { id } }");
    return found?.payments[0].refunds.length > 0
      ? (found.payments[0] as { id: string; refunds: { id: string }[] })
      : null;
  });

  const units = { orderNumber: order.number, lines: [{ lineId, quantity: 1 }], reason: "CHANGED_MIND" };
  const returnable = async () =>
    (await entity("exchanges", "Order", order.id, "returnable { quantity }"))?.returnable?.[0]?.quantity === 3;
  await wait("that the mugs are returnable", returnable);
  const { return: returned } = await act(
    "exchanges",
    "requestReturn",
    "... on ReturnRequested { return { id number } }",
    {
      idempotencyKey: randomUUID(),
      ...units,
    },
  );
  const approval = { idempotencyKey: randomUUID(), number: returned.number };
  await act("exchanges", "approveReturn", "... on ReturnApproved { return { id } }", approval, staff);
  await wait("the return's label", () => entity("fulfillment", "Return", returned.id, "label { code }"));
  const { exchange } = await act("exchanges", "requestExchange", "... on ExchangeRequested { exchange { id } }", {
    idempotencyKey: randomUUID(),
    ...units,
    replacements: [{ skuId, quantity: 1, replacesLineId: lineId }],
  });

  const references: OwnersThings["references"] = {
    User: [{ id: ownerId }],
    Customer: [{ id: ownerId }],
    Product: [{ id: mug.id }, { slug: mug.slug }],
    Sku: [{ id: skuId }],
    Category: [{ id: category.id }],
    Cart: [{ id: cart.id }],
    Order: [{ id: order.id }, { number: order.number }],
    OrderLine: [{ id: lineId }],
    Payment: [{ id: payment.id }],
    Refund: [{ id: payment.refunds[0]!.id }],
    Shipment: [{ id: shipment.id }, { trackingCode: shipment.trackingCode }],
    Return: [{ id: returned.id }],
    Exchange: [{ id: exchange.id }],
  };
  for (const { service, type, input } of begunEntities(Object.keys(references))) {
    const field = `${type[0]!.toLowerCase()}${type.slice(1)}`;
    const made = await act(service, `create${type}`, `... on ${type}Created { ${field} { id } }`, input);
    references[type] = [{ id: made[field].id }];
  }

  return {
    acts,
    ownerId,
    orderId: order.id,
    references,
    values: {
      "Query.order(number:)": order.number,
      "Query.payment(id:)": payment.id,
      "Query.shipment(id:)": shipment.id,
      "Query.return(id:)": returned.id,
      "Query.cart(id:)": cart.id,
      "Query.customer(id:)": ownerId,
      "PayOrderInput.number": order.number,
      "CancelOrderInput.number": order.number,
      "RequestReturnInput.orderNumber": order.number,
      "RequestExchangeInput.orderNumber": order.number,
      "SetCartLineInput.cartId": cart.id,
      "SetCartDetailsInput.cartId": cart.id,
      "SaveAddressInput.id": address.id,
      "RemoveAddressInput.id": address.id,
    },
    neutral: {
      "ReturnLineInput.lineId": lineId,
      "ReplacementLineInput.skuId": skuId,
      "SaveAddressInput.address": shipTo,
    },
  };
}

function mugQuote(skuId: string): string {
  const cart = `{ __typename: "Cart", id: "${randomUUID()}", lines: [{ skuId: "${skuId}", quantity: 1 }] }`;
  return `{ _entities(representations: [${cart}]) { ... on Cart { quote { unavailable } } } }`;
}
