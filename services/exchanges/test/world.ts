import { randomUUID } from "node:crypto";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import { orderConfirmed, orderDelivered, orderPlaced, orderRefunded } from "@crowdcrunch/events/orders";
import type { TestService } from "@crowdcrunch/kit/testing/service";

export interface TestOrder {
  orderId: string;
  customerId: string;
  number: string;
  /** Five mugs for 50.00. */
  mug: string;
  /** Two bowls for 9.99. */
  bowl: string;
  /** An atlas to download. */
  atlas: string;
}

export function newOrder(customerId: string = randomUUID()): TestOrder {
  const number = randomUUID().slice(0, 8).toUpperCase();
  const [orderId, mug, bowl, atlas] = Array.from({ length: 4 }, () => randomUUID()) as [string, string, string, string];
  return { number, orderId, customerId, mug, bowl, atlas };
}

const totals = { itemsMinor: 6499, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: 6499 };

export function confirmed(order: TestOrder): EventToEmit {
  const { orderId, customerId, number } = order;
  const line = (lineId: string, name: string, quantity: number, paidMinor: number, digital = false) => {
    return {
      lineId,
      skuId: randomUUID(),
      name,
      quantity,
      digital,
      unitMinor: Math.floor(paidMinor / quantity),
      paidMinor,
    };
  };
  const lines = [
    line(order.mug, "Blue mug", 5, 5000),
    line(order.bowl, "Bowl", 2, 999),
    line(order.atlas, "Atlas of Rivers", 1, 500, true),
  ];
  const paid = { totals, currency: "GBP", shippingMethod: "standard" };
  return orderConfirmed.create(
    { orderId, customerId, version: 3, number, email: "ada@example.com", kind: "SALE", lines, ...paid },
    { sequence: 3 },
  );
}

export function delivered(
  order: TestOrder,
  { mugs = 5, bowls = 2, daysAgo = 1 }: { mugs?: number; bowls?: number; daysAgo?: number } = {},
): EventToEmit {
  const { orderId, customerId } = order;
  const lines = [
    { lineId: order.mug, quantity: mugs },
    { lineId: order.bowl, quantity: bowls },
    { lineId: order.atlas, quantity: 1 },
  ].filter(({ quantity }) => quantity > 0);
  const deliveredAt = new Date(Date.now() - daysAgo * 86_400_000).toISOString();
  return orderDelivered.create({ orderId, customerId, version: 6, lines, deliveredAt }, { sequence: 6 });
}

/** The replacement's order-placed. */
export function placed(child: { orderId: string; customerId: string; exchangeId: string; totalMinor: number }) {
  const { totalMinor, ...ids } = child;
  const line = { lineId: randomUUID(), skuId: randomUUID(), productId: randomUUID(), name: "Red mug", quantity: 1 };
  return orderPlaced.create(
    {
      ...ids,
      version: 1,
      number: randomUUID().slice(0, 8).toUpperCase(),
      kind: "REPLACEMENT",
      lines: [{ ...line, unitMinor: totalMinor, digital: false }],
      totals: { ...totals, itemsMinor: totalMinor, totalMinor },
      currency: "GBP",
    },
    { sequence: 1 },
  );
}

/** orders' answer that money went back. */
export function refunded(
  order: { orderId: string; customerId: string; number: string },
  refund: { returnId: string; amountMinor: number; reason?: string; exchangeId?: string },
): EventToEmit {
  const { orderId, customerId, number } = order;
  const about = { version: 9, refundId: randomUUID(), lines: [], currency: "GBP", reason: "RETURN" };
  return orderRefunded.create({ orderId, customerId, number, ...about, ...refund }, { sequence: 9 });
}

export const returnFields = `id number status reason comment externalReference credit { amountMinor } refunded { amountMinor currency }
  lines { line { id } name quantity receivedQuantity acceptedQuantity refusedQuantity } order { id }
  exchange { id status failure replacement { id } difference { amountMinor } }`;

const mutations = {
  requestReturn: ["RequestReturnInput", `ReturnRequested { return { ${returnFields} } }`],
  requestExchange: ["RequestExchangeInput", `ExchangeRequested { exchange { id status return { ${returnFields} } } }`],
  approveReturn: ["ApproveReturnInput", `ReturnApproved { return { ${returnFields} } }`],
  rejectReturn: ["RejectReturnInput", `ReturnRejected { return { ${returnFields} } }`],
  receiveReturn: ["ReceiveReturnInput", `ReturnReceived { return { ${returnFields} } }`],
  inspectReturn: ["InspectReturnInput", `ReturnInspected { return { ${returnFields} } }`],
} as const;

/** Calls a mutation and gives its result, or the codes of its errors. */
export async function call(
  service: TestService,
  token: string | undefined,
  name: keyof typeof mutations,
  input: Record<string, unknown>,
) {
  const [type, member] = mutations[name];
  const refusal = name.startsWith("request") ? "NotReturnable { lineId returnable }" : "NotPossible { state }";
  const answer = await service.graph(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on ${member}
       ... on Problem { message } ... on ${refusal} ... on InvalidInput { field } } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
    { token },
  );
  return answer.errors ? { errors: answer.errors.map(({ extensions }) => extensions.code) } : answer.data[name];
}

/** The order's returns as the gateway asks for them. */
export async function orderSeenBy(service: TestService, token: string | undefined, { orderId }: { orderId: string }) {
  const answer = await service.graph(
    `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Order { returns { ${returnFields} } exchanges { id status }
       returnable { line { id } name quantity returnBefore } } } }`,
    { of: [{ __typename: "Order", id: orderId }] },
    { token },
  );
  return { entity: answer.data?._entities?.[0], errors: answer.errors };
}
