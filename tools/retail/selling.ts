/** Makes an invoice an order and brings it to its end: placed, paid, sent, delivered. */
import { countryCodeOf } from "./countries.ts";
import { Failure } from "./failure.ts";
import { derivedUuid, guestId } from "./identifiers.ts";
import { attemptOf, attemptReference } from "./ledgers.ts";
import type { OrderState } from "./ledgers.ts";
import type { OrderPlan } from "./plan.ts";
import type { Staff } from "./staff.ts";
import type { Watch } from "./watch.ts";

const placeOrder = `mutation PlaceOrder($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename ... on OrderPlaced { order { id } } ... on UnknownSku { skuId } ... on Problem { message } } }`;
const dispatchShipment = `mutation Dispatch($input: DispatchShipmentInput!) { dispatchShipment(input: $input) { __typename ... on Problem { message } } }`;
const recordDelivery = `mutation Deliver($input: ShipmentInput!) { recordDelivery(input: $input) { __typename ... on Problem { message } } }`;

/** What an invoice's order needs to know of the shop. */
export interface Selling {
  staff: Staff;
  watch: Watch<OrderState>;
  /** Ids by code. */
  skus: Map<string, string>;
  /** Ids by number. */
  customers: Map<string, string>;
}

/** The home of a shop whose country the file does not say. */
const homeCountry = "GB";

const nothing = ["REJECTED", "CANCELLED"];
const beforeParcels = ["PENDING", "AWAITING_PAYMENT", "PAYMENT_ACTION_REQUIRED"];

/** True where there is nothing left to do for the order. */
export function isDone(order: OrderState | undefined): boolean {
  return order?.status === "COMPLETED";
}

/** Places the invoice's order unless `known` is one, and resolves once it is paid, delivered and complete. */
export async function sell(selling: Selling, plan: OrderPlan, known: OrderState | undefined): Promise<void> {
  const { staff, watch } = selling;
  const id = known && !nothing.includes(known.status) ? known.id : await place(selling, plan, known);

  const paid = await watch.until(
    id,
    ({ status, shipments }) => nothing.includes(status) || (!beforeParcels.includes(status) && shipments.length > 0),
    "its payment and its parcel",
  );
  if (nothing.includes(paid.status)) {
    throw new Failure(
      `its order ${paid.number} is ${paid.status}: its timeline says why. Where stock was short, make import brings it; then replay again`,
    );
  }
  for (const shipment of paid.shipments) {
    const key = (act: string) => derivedUuid(act, shipment.id);
    // Where a carrier was faster, the shop says NotPossible, and the watch sees the parcel arrive.
    if (shipment.status === "TO_PACK")
      await staff.mutate(dispatchShipment, { idempotencyKey: key("dispatch"), shipmentId: shipment.id });
    if (["TO_PACK", "DISPATCHED"].includes(shipment.status))
      await staff.mutate(recordDelivery, { idempotencyKey: key("delivery"), shipmentId: shipment.id });
  }
  await watch.until(id, isDone, "the delivery and its payment");
}

async function place(
  { staff, skus, customers }: Selling,
  plan: OrderPlan,
  failed: OrderState | undefined,
): Promise<string> {
  const attempt = failed ? attemptOf(failed.reference).attempt + 1 : 1;
  const externalReference = attemptReference(plan.reference, attempt);
  const customerId = plan.customer === "" ? guestId(plan.invoice) : customers.get(plan.customer);
  if (!customerId) throw new Failure(`the shop does not know the customer ${plan.customer}: make import first`);
  const lines = plan.lines.map(({ code, quantity, unitMinor }) => {
    const skuId = skus.get(code);
    if (!skuId) throw new Failure(`the shop does not know the article ${code}: make import first`);
    return { skuId, quantity, agreedUnitMinor: unitMinor };
  });
  const answer = await staff.mutate(placeOrder, {
    idempotencyKey: derivedUuid("order", externalReference),
    externalReference,
    customerId,
    lines,
    currency: "GBP",
    shipTo: shipTo(plan),
    shippingMethod: "none",
    paymentMethod: { token: "tok_ok" },
    expectedTotalMinor: plan.lines.reduce((sum, { quantity, unitMinor }) => sum + quantity * unitMinor, 0),
  });
  if (answer.__typename === "KeyReused")
    throw new Failure("an order of this invoice with other lines is there already, from another file");
  if (answer.__typename !== "OrderPlaced")
    throw new Failure(`the shop refuses it (${answer.__typename}): ${answer.message}`);
  return answer["order"].id as string;
}

/** The file knows the country alone. */
function shipTo({ customer, invoice, country }: OrderPlan) {
  return {
    name: customer === "" ? `Guest of invoice ${invoice}` : `Customer ${customer}`,
    line1: "Address unknown",
    city: country || "Unknown",
    postalCode: "0",
    countryCode: countryCodeOf(country) ?? homeCountry,
  };
}
