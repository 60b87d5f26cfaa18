import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import { orderConfirmed } from "@crowdcrunch/events/orders";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { TestService } from "@crowdcrunch/kit/testing/service";
import { fulfillment } from "../src/service.ts";

export const address = {
  name: "Ada Byron",
  line1: "1 Lime Street",
  city: "London",
  postalCode: "EC3M 7AA",
  countryCode: "GB",
};

/** The service with a mail spool of its own, which goes with it; `blocked`: a file stands where the spool should be. */
export async function openFulfillment(env: Record<string, string> = {}, { blocked = false } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-mail-"));
  const spool = join(folder, "spool");
  await (blocked ? writeFile(spool, "") : mkdir(spool));
  const service = await testService(fulfillment, {
    env: {
      DOWNLOAD_SECRET: "a-secret-for-download-links",
      PUBLIC_URL: "http://shop.example",
      MAIL_SPOOL: spool,
      DELIVERY_RETRY_MS: "50",
      ...env,
    },
  });
  async function stop(): Promise<void> {
    await service.stop();
    await rm(folder, { recursive: true });
  }
  return { service: { ...service, stop }, spool };
}

export interface TestOrder {
  orderId: string;
  customerId: string;
  number: string;
  /** Five mugs, physical. */
  mug: string;
  /** Two bowls, physical. */
  bowl: string;
  /** One licence of an atlas, digital. */
  atlas: string;
}

export function newOrder(): TestOrder {
  const number = randomUUID().slice(0, 8).toUpperCase();
  const [orderId, customerId, mug, bowl, atlas] = Array.from({ length: 5 }, () => randomUUID()) as string[];
  return { number, orderId: orderId!, customerId: customerId!, mug: mug!, bowl: bowl!, atlas: atlas! };
}

/** orders' order-confirmed; by default of the physical lines alone. */
export function confirmed(order: TestOrder, { physical = true, digital = false } = {}): EventToEmit {
  const line = (lineId: string, name: string, quantity: number, isDigital: boolean) => {
    return {
      lineId,
      skuId: randomUUID(),
      name,
      quantity,
      digital: isDigital,
      unitMinor: 1000,
      paidMinor: 1000 * quantity,
    };
  };
  return orderConfirmed.create(
    {
      orderId: order.orderId,
      customerId: order.customerId,
      version: 3,
      number: order.number,
      email: "ada@example.com",
      kind: "SALE",
      paymentId: randomUUID(),
      lines: [
        ...(physical ? [line(order.mug, "Blue mug", 5, false), line(order.bowl, "Bowl", 2, false)] : []),
        ...(digital ? [line(order.atlas, "Atlas of Rivers", 1, true)] : []),
      ],
      totals: { itemsMinor: 8000, taxMinor: 0, shippingMinor: 0, discountMinor: 0, totalMinor: 8000 },
      currency: "GBP",
      shippingMethod: "standard",
      ...(physical ? { shipTo: address } : {}),
    },
    { sequence: 3 },
  );
}

/** The decoded mails of a spool, oldest name first. */
export async function mails(spool: string): Promise<string[]> {
  const files = (await readdir(spool)).filter((file) => file.endsWith(".eml")).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(spool, file), "utf8")));
  return texts.map((text) => text.replaceAll("=\r\n", "").replaceAll("=3D", "="));
}

const shipmentFields = `id trackingCode status lines { line { id } name quantity cancelledQuantity } shipTo { name }
  dispatchedAt deliveredAt lostAt order { id }`;

/** The order's parcels and downloads as the gateway asks for them. */
export async function sent(service: TestService, order: TestOrder, token: string | undefined) {
  const answer = await service.graph(
    `query ($of: [_Any!]!) { _entities(representations: $of) { ... on Order {
       shipments { ${shipmentFields} }
       digitalDeliveries { id status sentAt lines { name quantity expiresAt downloadsLeft revoked } } } } }`,
    { of: [{ __typename: "Order", id: order.orderId }] },
    { token },
  );
  return { entity: answer.data?._entities?.[0], errors: answer.errors };
}

/** Calls a mutation of staff and gives its result. */
export async function act(
  service: TestService,
  token: string | undefined,
  name: "dispatchShipment" | "recordDelivery" | "reportLost",
  input: Record<string, unknown>,
) {
  const [type, member] = {
    dispatchShipment: [
      "DispatchShipmentInput",
      `ShipmentDispatched { shipment { ${shipmentFields} } remaining { id } }`,
    ],
    recordDelivery: ["ShipmentInput", `DeliveryRecorded { shipment { ${shipmentFields} } }`],
    reportLost: ["ShipmentInput", `LossReported { shipment { ${shipmentFields} } }`],
  }[name] as [string, string];
  const answer = await service.graph(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on ${member}
       ... on Problem { message } ... on NotPossible { state } ... on InvalidInput { field } } }`,
    { input: { idempotencyKey: randomUUID(), ...input } },
    { token },
  );
  return answer.errors ? { errors: answer.errors.map(({ extensions }) => extensions.code) } : answer.data[name];
}
