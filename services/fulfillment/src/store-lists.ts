import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { DeliveryStatus, Shipment, ShipmentStatus } from "./fulfillment.ts";
import { shipmentColumns } from "./store.ts";

// Shipments and deliveries as the graph reads them; nothing is locked.

/** A shipment with its owner. */
export interface OwnedShipment extends Shipment {
  customerId: string;
}

export interface OrderReference {
  id: string;
  customerId: string;
}

export interface LineReference {
  id: string;
}

export interface ListedDownload {
  lineId: string;
  skuId: string;
  name: string;
  quantity: number;
  cancelled: number;
  expiresAt: string | null;
  downloadsLeft: number;
  revoked: boolean;
}

export interface ListedDelivery {
  id: string;
  orderId: string;
  status: DeliveryStatus;
  sentAt: Date | null;
  lines: ListedDownload[];
}

/** A return's label; the id is the return's. */
export interface ReturnLabelRow {
  id: string;
  orderId: string;
  customerId: string;
  code: string;
  createdAt: Date;
}

const owned = `SELECT ${shipmentColumns}, f.customer_id AS "customerId" FROM shipments s JOIN fulfillments f USING (order_id)`;
const byId = statement<OwnedShipment>("shipmentById", `${owned} WHERE s.id = ANY($1::uuid[])`);
const byTrackingCode = statement<OwnedShipment>("shipmentByCode", `${owned} WHERE s.tracking_code = ANY($1::text[])`);
const byOrder = statement<OwnedShipment>(
  "shipmentByOrder",
  `${owned} WHERE s.order_id = ANY($1::uuid[]) ORDER BY s.id`,
);
const pageByStatus = statement<OwnedShipment>(
  "shipmentPage",
  `${owned} WHERE ($1::text IS NULL OR s.status = $1) AND ($2::uuid IS NULL OR s.id > $2) ORDER BY s.id LIMIT $3`,
);
const ordersById = statement<OrderReference>(
  "fulfillmentById",
  `SELECT order_id AS id, customer_id AS "customerId" FROM fulfillments WHERE order_id = ANY($1::uuid[])`,
);
const deliveriesByOrder = statement<ListedDelivery>(
  "deliveryByOrder",
  `SELECT d.id, d.order_id AS "orderId", d.status, d.sent_at AS "sentAt",
     (SELECT json_agg(json_build_object('lineId', l.line_id, 'skuId', l.sku_id, 'name', l.name, 'quantity', l.quantity,
        'cancelled', l.cancelled, 'expiresAt', l.expires_at, 'downloadsLeft', l.downloads_left,
        'revoked', l.revoked_at IS NOT NULL) ORDER BY l.id)
      FROM downloads l WHERE l.delivery_id = d.id) AS lines
   FROM digital_deliveries d WHERE d.order_id = ANY($1::uuid[]) ORDER BY d.id`,
);
const labelsByReturn = statement<ReturnLabelRow>(
  "returnLabelByReturn",
  `SELECT l.return_id AS id, l.order_id AS "orderId", f.customer_id AS "customerId", l.code, l.created_at AS "createdAt"
   FROM return_labels l JOIN fulfillments f USING (order_id) WHERE l.return_id = ANY($1::uuid[])`,
);

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createLists(db: Queryable) {
  return {
    async shipmentsById(ids: readonly string[]): Promise<(OwnedShipment | undefined)[]> {
      return inOrderOf(ids, await db.many(byId, [ids]), (shipment) => shipment.id);
    },
    async shipmentsByTrackingCode(codes: readonly string[]): Promise<(OwnedShipment | undefined)[]> {
      return inOrderOf(codes, await db.many(byTrackingCode, [codes]), (shipment) => shipment.trackingCode);
    },
    async shipmentsByOrder(orderIds: readonly string[]): Promise<OwnedShipment[][]> {
      return groupedInOrderOf(orderIds, await db.many(byOrder, [orderIds]), (shipment) => shipment.orderId);
    },
    async deliveriesByOrder(orderIds: readonly string[]): Promise<ListedDelivery[][]> {
      return groupedInOrderOf(orderIds, await db.many(deliveriesByOrder, [orderIds]), (delivery) => delivery.orderId);
    },
    async ordersById(ids: readonly string[]): Promise<(OrderReference | undefined)[]> {
      return inOrderOf(ids, await db.many(ordersById, [ids]), (order) => order.id);
    },
    async labelsByReturn(ids: readonly string[]): Promise<(ReturnLabelRow | undefined)[]> {
      return inOrderOf(ids, await db.many(labelsByReturn, [ids]), (label) => label.id);
    },
    /** Oldest first. */
    shipmentsByStatus: (status: ShipmentStatus | null, after: string | null, limit: number) =>
      db.many(pageByStatus, [status, after, limit]),
  };
}

export type Lists = ReturnType<typeof createLists>;

const dueForCarrier = statement<{ id: string; orderId: string }>(
  "shipmentDueForCarrier",
  `(SELECT id, order_id AS "orderId" FROM shipments
    WHERE status = 'TO_PACK' AND created_at <= now() - make_interval(secs => $1) AND ship_to IS NOT NULL ORDER BY id LIMIT $2)
   UNION ALL
   (SELECT id, order_id FROM shipments
    WHERE status = 'DISPATCHED' AND dispatched_at <= now() - make_interval(secs => $1) ORDER BY id LIMIT $2)`,
);

/** Parcels that have stood still for the delay: to be dispatched, or to be delivered. */
export function findDueForCarrier(db: Queryable, delayMs: number, atMost: number) {
  return db.many(dueForCarrier, [delayMs / 1_000, atMost]);
}
