import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { DigitalDelivery, Effects, Fulfillment, Shipment } from "./fulfillment.ts";

// Fulfillments as decisions read and write them: whole, locked in the order of their ids.

interface LockedRow {
  orderId: string;
  customerId: string;
  orderNumber: string;
  version: number;
  now: Date;
}

// Locked first and read by the statements behind it: a single statement would show other tables as they were before it
// waited for the lock.
const lockFulfillments = statement<LockedRow>(
  "fulfillmentLock",
  `SELECT order_id AS "orderId", customer_id AS "customerId", order_number AS "orderNumber", version, now() AS now
   FROM fulfillments WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);

/** A shipment's columns by the names of `Shipment`; what reads lists uses the same. */
export const shipmentColumns = `s.id, s.order_id AS "orderId", s.tracking_code AS "trackingCode", s.status,
  s.shipping_method AS "shippingMethod", s.ship_to AS "shipTo", s.created_at AS "createdAt",
  s.dispatched_at AS "dispatchedAt", s.delivered_at AS "deliveredAt", s.lost_at AS "lostAt",
  (SELECT json_agg(json_build_object('lineId', l.line_id, 'skuId', l.sku_id, 'name', l.name, 'quantity', l.quantity,
     'cancelled', l.cancelled) ORDER BY l.line_id) FROM shipment_lines l WHERE l.shipment_id = s.id) AS lines`;

const shipmentsOf = statement<Shipment>(
  "shipmentOfOrder",
  `SELECT ${shipmentColumns} FROM shipments s WHERE s.order_id = ANY($1::uuid[]) ORDER BY s.id`,
);

// The worker that sends mails claims a delivery by its own row: a cancellation sees it before or after, never between.
const lockDeliveries = statement<DigitalDelivery>(
  "deliveryLock",
  `SELECT id, order_id AS "orderId", status, attempts, sent_at AS "sentAt"
   FROM digital_deliveries WHERE order_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`,
);
const downloadsOf = statement<DigitalDelivery["lines"][number] & { deliveryId: string }>(
  "downloadOfDelivery",
  `SELECT id, delivery_id AS "deliveryId", line_id AS "lineId", name, quantity, cancelled
   FROM downloads WHERE delivery_id = ANY($1::uuid[]) ORDER BY id`,
);

const updateVersions = statement(
  "fulfillmentUpdate",
  `UPDATE fulfillments f SET version = c.version
   FROM json_to_recordset($1::json) AS c("orderId" uuid, version int) WHERE f.order_id = c."orderId"`,
);
const saveShipments = statement(
  "shipmentSave",
  `INSERT INTO shipments (id, order_id, tracking_code, status, shipping_method, ship_to, created_at, dispatched_at, delivered_at, lost_at)
   SELECT id, "orderId", "trackingCode", status, "shippingMethod", "shipTo", "createdAt", "dispatchedAt", "deliveredAt", "lostAt"
   FROM json_to_recordset($1::json) AS c(id uuid, "orderId" uuid, "trackingCode" text, status text, "shippingMethod" text,
     "shipTo" json, "createdAt" timestamptz, "dispatchedAt" timestamptz, "deliveredAt" timestamptz, "lostAt" timestamptz)
   ON CONFLICT (id) DO UPDATE SET status = excluded.status, dispatched_at = excluded.dispatched_at,
     delivered_at = excluded.delivered_at, lost_at = excluded.lost_at`,
);
const saveShipmentLines = statement(
  "shipmentLineSave",
  `INSERT INTO shipment_lines (shipment_id, line_id, sku_id, name, quantity, cancelled)
   SELECT "shipmentId", "lineId", "skuId", name, quantity, cancelled
   FROM json_to_recordset($1::json) AS c("shipmentId" uuid, "lineId" uuid, "skuId" uuid, name text, quantity int, cancelled int)
   ON CONFLICT (shipment_id, line_id) DO UPDATE SET quantity = excluded.quantity, cancelled = excluded.cancelled`,
);
const updateDeliveries = statement(
  "deliveryUpdate",
  `UPDATE digital_deliveries d SET status = c.status, sent_at = c."sentAt"
   FROM json_to_recordset($1::json) AS c(id uuid, status text, "sentAt" timestamptz) WHERE d.id = c.id`,
);
const updateDownloads = statement(
  "downloadUpdate",
  `UPDATE downloads d SET quantity = c.quantity, cancelled = c.cancelled
   FROM json_to_recordset($1::json) AS c(id uuid, quantity int, cancelled int) WHERE d.id = c.id`,
);

/** Fulfillments of one transaction: locked and read once, changed in memory, each table written by one statement. */
export interface FulfillmentBook {
  /** The transaction's time by the database's clock. */
  now: Date;
  get(orderId: string): Fulfillment | undefined;
  save(effects: Effects, newId: () => string): Promise<void>;
}

/** Locks the orders' fulfillments in the order of their ids and reads them whole. */
export async function openBook(tx: Transaction, orderIds: string[]): Promise<FulfillmentBook> {
  const ids = [...new Set(orderIds)];
  const rows = await tx.many(lockFulfillments, [ids]);
  const [shipments, deliveries] = await Promise.all([tx.many(shipmentsOf, [ids]), tx.many(lockDeliveries, [ids])]);
  const downloads = deliveries.length === 0 ? [] : await tx.many(downloadsOf, [deliveries.map(({ id }) => id)]);
  for (const delivery of deliveries) {
    delivery.lines = downloads.filter(({ deliveryId }) => deliveryId === delivery.id);
  }
  const book = new Map<string, Fulfillment>(
    rows.map(({ now: _, ...row }) => [
      row.orderId,
      {
        ...row,
        shipments: shipments.filter(({ orderId }) => orderId === row.orderId),
        deliveries: deliveries.filter(({ orderId }) => orderId === row.orderId),
      },
    ]),
  );
  const before = rowsOf([...book.values()]);
  return {
    now: rows[0]?.now ?? new Date(0),
    get: (orderId) => book.get(orderId),
    async save(effects, newId) {
      const after = rowsOf([...book.values()]);
      await write(tx, updateVersions, before.versions, after.versions);
      await write(tx, saveShipments, before.shipments, after.shipments);
      await write(tx, saveShipmentLines, before.shipmentLines, after.shipmentLines);
      await write(tx, updateDeliveries, before.deliveries, after.deliveries);
      await write(tx, updateDownloads, before.downloads, after.downloads);
      for (const incident of effects.incidents) await openIncident(tx, newId, incident);
      for (const event of effects.events) tx.emit(event);
    },
  };
}

/** Rows as JSON by their identity, to tell what was changed. */
type Rows = Map<string, string>;

function rowsOf(fulfillments: Fulfillment[]) {
  const versions: Rows = new Map();
  const shipments: Rows = new Map();
  const shipmentLines: Rows = new Map();
  const deliveries: Rows = new Map();
  const downloads: Rows = new Map();
  for (const { orderId, version, ...fulfillment } of fulfillments) {
    versions.set(orderId, JSON.stringify({ orderId, version }));
    for (const { lines, ...shipment } of fulfillment.shipments) {
      shipments.set(shipment.id, JSON.stringify(shipment));
      for (const line of lines) {
        shipmentLines.set(`${shipment.id} ${line.lineId}`, JSON.stringify({ shipmentId: shipment.id, ...line }));
      }
    }
    for (const { id, status, sentAt, lines } of fulfillment.deliveries) {
      deliveries.set(id, JSON.stringify({ id, status, sentAt }));
      for (const line of lines) downloads.set(line.id, JSON.stringify(line));
    }
  }
  return { versions, shipments, shipmentLines, deliveries, downloads };
}

async function write(tx: Queryable, query: ReturnType<typeof statement>, before: Rows, after: Rows): Promise<void> {
  const changed = [...after].filter(([key, row]) => before.get(key) !== row).map(([, row]) => row);
  if (changed.length > 0) await tx.run(query, [`[${changed.join(",")}]`]);
}
