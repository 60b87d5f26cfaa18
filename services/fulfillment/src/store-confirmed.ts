import { statement } from "@crowdcrunch/kit/database";
import type { Transaction } from "@crowdcrunch/kit/database";
import type { PostalAddress } from "@crowdcrunch/events/contract";

// What confirmed orders bring, a batch at a time, and what erasing takes away.

/** Held shared by who stores personal data and alone by who erases it, so that neither overlooks the other. */
const erasure = 4006;

const insertFulfillments = statement<{ orderId: string }>(
  "fulfillmentInsert",
  `INSERT INTO fulfillments (order_id, customer_id, order_number, version)
   SELECT n."orderId", n."customerId", n."orderNumber", n.version
   FROM json_to_recordset($1::json) AS n("orderId" uuid, "customerId" uuid, "orderNumber" text, version int),
        (SELECT pg_advisory_xact_lock_shared(${erasure})) AS guard
   ON CONFLICT (order_id) DO NOTHING RETURNING order_id AS "orderId"`,
);
const insertShipments = statement(
  "shipmentInsert",
  `WITH inserted AS (
     INSERT INTO shipments (id, order_id, tracking_code, status, shipping_method, ship_to)
     SELECT n.id, n."orderId", n."trackingCode", 'TO_PACK', n."shippingMethod",
            CASE WHEN e.customer_id IS NULL THEN n."shipTo" END
     FROM json_to_recordset($1::json) AS n(id uuid, "orderId" uuid, "customerId" uuid, "trackingCode" text,
       "shippingMethod" text, "shipTo" json)
     LEFT JOIN erased e ON e.customer_id = n."customerId"
   )
   INSERT INTO shipment_lines (shipment_id, line_id, sku_id, name, quantity)
   SELECT "shipmentId", "lineId", "skuId", name, quantity
   FROM json_to_recordset($2::json) AS n("shipmentId" uuid, "lineId" uuid, "skuId" uuid, name text, quantity int)`,
);
const insertDeliveries = statement(
  "deliveryInsert",
  `WITH inserted AS (
     INSERT INTO digital_deliveries (id, order_id, status, email)
     SELECT n.id, n."orderId", 'TO_SEND', CASE WHEN e.customer_id IS NULL THEN n.email END
     FROM json_to_recordset($1::json) AS n(id uuid, "orderId" uuid, "customerId" uuid, email text)
     LEFT JOIN erased e ON e.customer_id = n."customerId"
   )
   INSERT INTO downloads (id, delivery_id, line_id, sku_id, name, quantity, licence_key, downloads_left)
   SELECT id, "deliveryId", "lineId", "skuId", name, quantity, "licenceKey", "downloadsAtMost"
   FROM json_to_recordset($2::json) AS n(id uuid, "deliveryId" uuid, "lineId" uuid, "skuId" uuid, name text, quantity int,
     "licenceKey" text, "downloadsAtMost" int)`,
);

export interface NewFulfillment {
  orderId: string;
  customerId: string;
  orderNumber: string;
  version: number;
}

export interface NewShipment {
  id: string;
  orderId: string;
  customerId: string;
  trackingCode: string;
  shippingMethod: string;
  shipTo: PostalAddress | null;
  lines: { lineId: string; skuId: string; name: string; quantity: number }[];
}

export interface NewDelivery {
  id: string;
  orderId: string;
  customerId: string;
  email: string | null;
  lines: {
    id: string;
    lineId: string;
    skuId: string;
    name: string;
    quantity: number;
    licenceKey: string;
    downloadsAtMost: number;
  }[];
}

/** Stores the orders that are new here. Resolves to their ids. */
export async function insertNew(tx: Transaction, fulfillments: NewFulfillment[]): Promise<Set<string>> {
  const rows = await tx.many(insertFulfillments, [JSON.stringify(fulfillments)]);
  return new Set(rows.map(({ orderId }) => orderId));
}

/** Stores parcels to pack. None is no statement. */
export async function createShipments(tx: Transaction, shipments: NewShipment[]): Promise<void> {
  if (shipments.length === 0) return;
  const lines = shipments.flatMap(({ id, lines: own }) => own.map((line) => ({ shipmentId: id, ...line })));
  await tx.run(insertShipments, [JSON.stringify(shipments.map(({ lines: _, ...row }) => row)), JSON.stringify(lines)]);
}

/** Stores mails to send. None is no statement. */
export async function createDeliveries(tx: Transaction, deliveries: NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  const lines = deliveries.flatMap(({ id, lines: own }) => own.map((line) => ({ deliveryId: id, ...line })));
  await tx.run(insertDeliveries, [
    JSON.stringify(deliveries.map(({ lines: _, ...row }) => row)),
    JSON.stringify(lines),
  ]);
}

const insertLabels = statement(
  "returnLabelInsert",
  `INSERT INTO return_labels (return_id, order_id, return_number, code)
   SELECT "returnId", "orderId", "returnNumber", code
   FROM json_to_recordset($1::json) AS n("returnId" uuid, "orderId" uuid, "returnNumber" text, code text)
   ON CONFLICT (return_id) DO NOTHING`,
);
const knownOrders = statement<{ orderId: string }>(
  "fulfillmentKnown",
  `SELECT order_id AS "orderId" FROM fulfillments WHERE order_id = ANY($1::uuid[])`,
);

/** Which of the orders were confirmed. */
export async function findKnown(tx: Transaction, orderIds: string[]): Promise<Set<string>> {
  return new Set((await tx.many(knownOrders, [orderIds])).map(({ orderId }) => orderId));
}

/** Stores the labels of returns; a return has one, the first. */
export async function createLabels(
  tx: Transaction,
  labels: { returnId: string; orderId: string; returnNumber: string; code: string }[],
): Promise<void> {
  await tx.run(insertLabels, [JSON.stringify(labels)]);
}

const reassign = statement(
  "fulfillmentReassign",
  `UPDATE fulfillments f SET customer_id = n.customer_id
   FROM unnest($1::uuid[], $2::uuid[]) AS n(order_id, customer_id) WHERE f.order_id = n.order_id`,
);

/** The orders belong to these customers from here on; an order that is not there will come with its owner. */
export async function setOwners(tx: Transaction, owners: Map<string, string>): Promise<void> {
  await tx.run(reassign, [[...owners.keys()], [...owners.values()]]);
}

const revoke = statement(
  "downloadRevoke",
  `UPDATE downloads d SET refunded = least(d.quantity, d.refunded + n.units),
     revoked_at = CASE WHEN d.refunded + n.units >= d.quantity THEN coalesce(d.revoked_at, now()) ELSE d.revoked_at END
   FROM (SELECT line_id, sum(units) AS units FROM unnest($1::uuid[], $2::int[]) AS u(line_id, units) GROUP BY line_id) n
   WHERE d.line_id = n.line_id`,
);

/** Ends the links of lines whose units were all paid back. */
export async function revokeDownloads(tx: Transaction, lines: { lineId: string; quantity: number }[]): Promise<void> {
  await tx.run(revoke, [lines.map(({ lineId }) => lineId), lines.map(({ quantity }) => quantity)]);
}

const guardErasure = statement("erasureGuard", `SELECT pg_advisory_xact_lock(${erasure})`);
const markErased = statement(
  "erasedInsert",
  `INSERT INTO erased (customer_id, at) SELECT unnest($1::uuid[]), now() ON CONFLICT DO NOTHING`,
);
const lockOrdersOf = statement<{ orderId: string }>(
  "fulfillmentOfCustomer",
  `SELECT order_id AS "orderId" FROM fulfillments WHERE customer_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);
const redactShipments = statement<{ id: string; status: string }>(
  "shipmentRedact",
  `UPDATE shipments SET ship_to = NULL WHERE order_id = ANY($1::uuid[]) AND ship_to IS NOT NULL RETURNING id, status`,
);
const redactDeliveries = statement(
  "deliveryRedact",
  `UPDATE digital_deliveries SET email = NULL WHERE order_id = ANY($1::uuid[]) AND email IS NOT NULL`,
);

/** Forgets addresses, now and for what arrives late. Resolves to the parcels that cannot be sent any more. */
export async function eraseCustomers(tx: Transaction, customerIds: string[]): Promise<string[]> {
  await tx.one(guardErasure);
  await tx.run(markErased, [customerIds]);
  const orderIds = (await tx.many(lockOrdersOf, [customerIds])).map(({ orderId }) => orderId);
  const redacted = await tx.many(redactShipments, [orderIds]);
  await tx.run(redactDeliveries, [orderIds]);
  return redacted.filter(({ status }) => status === "TO_PACK").map(({ id }) => id);
}
