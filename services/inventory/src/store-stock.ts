import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";
import type { Availability } from "@crowdcrunch/events/inventory";
import type { Movement, Reservation, StockRow } from "./stock.ts";

// Stock, reservations and movements.

/** Locks first and reads after it: a subselect beside FOR UPDATE would still see what was there before the wait. */
const lockOrders = statement(
  "orderStockLock",
  `SELECT FROM order_stock WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);
const readOrders = statement<OrderStock>(
  "orderStockRead",
  `SELECT order_id AS "orderId", customer_id AS "customerId", state, version,
     coalesce((SELECT json_agg(json_build_object('orderId', r.order_id, 'lineId', r.line_id, 'skuId', r.sku_id, 'locationId', r.location_id,
       'quantity', r.quantity, 'consumed', r.consumed, 'released', r.released) ORDER BY r.line_id, r.location_id)
       FROM reservations r WHERE r.order_id = o.order_id), '[]') AS reservations
   FROM order_stock o WHERE order_id = ANY($1::uuid[]) ORDER BY order_id`,
);
const lockStock = statement<StockRow>(
  "stockLock",
  `SELECT sku_id AS "skuId", location_id AS "locationId", on_hand AS "onHand", reserved FROM stock
   WHERE sku_id = ANY($1::uuid[]) ORDER BY sku_id, location_id FOR UPDATE`,
);
const saveOrders = statement(
  "orderStockSave",
  `INSERT INTO order_stock (order_id, customer_id, state, version)
   SELECT "orderId", "customerId", state, version FROM json_to_recordset($1::json) AS n("orderId" uuid, "customerId" uuid, state text, version int)
   ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, customer_id = excluded.customer_id`,
);
const saveReservations = statement(
  "reservationSave",
  `INSERT INTO reservations (order_id, line_id, sku_id, location_id, quantity, consumed, released)
   SELECT "orderId", "lineId", "skuId", "locationId", quantity, consumed, released
   FROM json_to_recordset($1::json) AS n("orderId" uuid, "lineId" uuid, "skuId" uuid, "locationId" uuid, quantity bigint, consumed bigint, released bigint)
   ON CONFLICT (order_id, line_id, location_id) DO UPDATE SET consumed = excluded.consumed, released = excluded.released`,
);
const saveStock = statement(
  "stockSave",
  `INSERT INTO stock (sku_id, location_id, on_hand, reserved)
   SELECT "skuId", "locationId", "onHand", reserved FROM json_to_recordset($1::json) AS n("skuId" uuid, "locationId" uuid, "onHand" bigint, reserved bigint)
   ON CONFLICT (sku_id, location_id) DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved`,
);
const insertMovements = statement(
  "movementInsert",
  `INSERT INTO movements (id, sku_id, location_id, quantity, reason, reference, line_id, actor)
   SELECT id, "skuId", "locationId", quantity, reason, reference, "lineId", actor
   FROM json_to_recordset($1::json) AS n(id uuid, "skuId" uuid, "locationId" uuid, quantity bigint, reason text, reference text, "lineId" uuid, actor uuid)`,
);
const availabilities = statement<SkuAvailability>(
  "availabilityOf",
  `SELECT id AS "skuId", product_id AS "productId", availability, availability_version AS version, digital FROM skus
   WHERE id = ANY($1::uuid[]) ORDER BY id`,
);
const saveAvailability = statement(
  "availabilitySave",
  `UPDATE skus s SET availability = n.availability, availability_version = n.version
   FROM json_to_recordset($1::json) AS n("skuId" uuid, availability text, version int) WHERE s.id = n."skuId"`,
);
const insertReturned = statement<{ return_id: string; line_id: string; disposition: string }>(
  "returnedInsert",
  `INSERT INTO returned (return_id, line_id, disposition, quantity)
   SELECT "returnId", "lineId", disposition, quantity
   FROM json_to_recordset($1::json) AS n("returnId" uuid, "lineId" uuid, disposition text, quantity bigint)
   ON CONFLICT DO NOTHING RETURNING return_id, line_id, disposition`,
);
const locationByCode = statement<{ id: string }>("locationByCode", `SELECT id FROM locations WHERE code = $1`);
const firstLocation = statement<{ id: string }>("locationFirst", `SELECT id FROM locations ORDER BY id LIMIT 1`);
const skuExists = statement<{ id: string; digital: boolean }>(
  "skuExists",
  `SELECT id, digital FROM skus WHERE id = $1`,
);

/** What inventory holds for an order, and how many events it has told about it. */
export interface OrderStock {
  orderId: string;
  customerId: string;
  state: "RESERVED" | "REJECTED";
  version: number;
  reservations: Reservation[];
}

export interface SkuAvailability {
  skuId: string;
  productId: string;
  availability: Availability;
  version: number;
  digital: boolean;
}

export interface NewMovement extends Omit<Movement, "reason" | "reference" | "lineId"> {
  id: string;
  reason: Movement["reason"] | "OPENING" | "RECEIPT" | "CORRECTION" | "LOSS";
  reference: string | null;
  lineId: string | null;
  actor: string | null;
}

/** Locks what is held for the orders, in id order. */
export async function lockOrderStock(tx: Transaction, orderIds: string[]): Promise<Map<string, OrderStock>> {
  if (orderIds.length === 0) return new Map();
  const wanted = [[...new Set(orderIds)]];
  const [, rows] = await Promise.all([tx.run(lockOrders, wanted), tx.many(readOrders, wanted)]);
  return new Map(rows.map((row) => [row.orderId, row]));
}

/** Locks the SKUs' stock at all locations, in the order of ids. */
export async function lockSkuStock(tx: Transaction, skuIds: string[]): Promise<StockRow[]> {
  return skuIds.length === 0 ? [] : tx.many(lockStock, [[...new Set(skuIds)]]);
}

export interface StockChanges {
  orders: OrderStock[];
  reservations: Reservation[];
  stock: StockRow[];
  movements: NewMovement[];
}

/** Writes what a batch changed, each table with one statement. */
export async function saveStockChanges(tx: Transaction, changes: StockChanges): Promise<void> {
  if (changes.orders.length > 0)
    await tx.run(saveOrders, [JSON.stringify(changes.orders.map(({ reservations: _, ...row }) => row))]);
  if (changes.reservations.length > 0) await tx.run(saveReservations, [JSON.stringify(changes.reservations)]);
  if (changes.stock.length > 0) await tx.run(saveStock, [JSON.stringify(changes.stock)]);
  if (changes.movements.length > 0) await tx.run(insertMovements, [JSON.stringify(changes.movements)]);
}

export async function findAvailabilities(tx: Queryable, skuIds: string[]): Promise<SkuAvailability[]> {
  return skuIds.length === 0 ? [] : tx.many(availabilities, [skuIds]);
}

export async function saveAvailabilities(tx: Queryable, changed: SkuAvailability[]): Promise<void> {
  if (changed.length > 0) await tx.run(saveAvailability, [JSON.stringify(changed)]);
}

export interface ReturnedLine {
  returnId: string;
  lineId: string;
  disposition: string;
  quantity: number;
}

/** Remembers what came back; resolves to the lines that were not known before. */
export async function takeReturned(tx: Queryable, lines: ReturnedLine[]): Promise<Set<string>> {
  const rows = lines.length === 0 ? [] : await tx.many(insertReturned, [JSON.stringify(lines)]);
  return new Set(
    rows.map((row) => returnedKey({ returnId: row.return_id, lineId: row.line_id, disposition: row.disposition })),
  );
}

export function returnedKey(line: { returnId: string; lineId: string; disposition: string }): string {
  return `${line.returnId} ${line.lineId} ${line.disposition}`;
}

export async function findLocation(db: Queryable, code: string | null): Promise<string | undefined> {
  return (code === null ? await db.one(firstLocation) : await db.one(locationByCode, [code]))?.id;
}

export async function findSkuKind(db: Queryable, skuId: string): Promise<{ digital: boolean } | undefined> {
  return db.one(skuExists, [skuId]);
}
