import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";
import type { Availability } from "@crowdcrunch/events/inventory";
import type { OrderStock } from "./reservation.ts";
import { returnedKey } from "./reservation.ts";
import type { Movement, Reservation, StockRow } from "./stock.ts";

// Stock, reservations and movements.

/** Locks first and reads after it: a subselect beside FOR UPDATE would still see what was there before the wait. */
const lockOrders = statement<Omit<OrderStock, "reservations">>(
  "orderStockLock",
  `SELECT order_id AS "orderId", customer_id AS "customerId", state, version, settled
   FROM order_stock WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);
const reservationsOf = statement<Reservation>(
  "reservationOf",
  `SELECT order_id AS "orderId", line_id AS "lineId", sku_id AS "skuId", location_id AS "locationId", quantity, consumed, released
   FROM reservations WHERE order_id = ANY($1::uuid[]) ORDER BY order_id, line_id, location_id`,
);
const lockStock = statement<StockRow>(
  "stockLock",
  `SELECT sku_id AS "skuId", location_id AS "locationId", on_hand AS "onHand", reserved FROM stock
   WHERE sku_id = ANY($1::uuid[]) ORDER BY sku_id, location_id FOR UPDATE`,
);
/** One statement for the tables that a batch changes together: it costs one turn instead of four. */
const saveChanges = statement(
  "stockChangeSave",
  `WITH saved_orders AS (
     INSERT INTO order_stock (order_id, customer_id, state, version, settled)
     SELECT "orderId", "customerId", state, version, settled
     FROM json_to_recordset($1::json) AS n("orderId" uuid, "customerId" uuid, state text, version int, settled uuid[])
     ON CONFLICT (order_id) DO UPDATE SET version = excluded.version, settled = excluded.settled
   ), saved_reservations AS (
     INSERT INTO reservations (order_id, line_id, sku_id, location_id, quantity, consumed, released)
     SELECT "orderId", "lineId", "skuId", "locationId", quantity, consumed, released
     FROM json_to_recordset($2::json) AS n("orderId" uuid, "lineId" uuid, "skuId" uuid, "locationId" uuid, quantity bigint, consumed bigint, released bigint)
     ON CONFLICT (order_id, line_id, location_id) DO UPDATE SET consumed = excluded.consumed, released = excluded.released
   ), saved_movements AS (
     INSERT INTO movements (id, sku_id, location_id, quantity, reason, reference, line_id, actor)
     SELECT id, "skuId", "locationId", quantity, reason, reference, "lineId", actor
     FROM json_to_recordset($3::json) AS n(id uuid, "skuId" uuid, "locationId" uuid, quantity bigint, reason text, reference text, "lineId" uuid, actor uuid)
   )
   INSERT INTO stock (sku_id, location_id, on_hand, reserved)
   SELECT "skuId", "locationId", "onHand", reserved
   FROM json_to_recordset($4::json) AS n("skuId" uuid, "locationId" uuid, "onHand" bigint, reserved bigint)
   ON CONFLICT (sku_id, location_id) DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved`,
);
const availabilities = statement<SkuAvailability>(
  "availabilityOf",
  `SELECT id AS "skuId", product_id AS "productId", availability, availability_version AS version, digital,
     (SELECT coalesce(sum(t.on_hand - t.reserved), 0)::bigint FROM stock t WHERE t.sku_id = s.id) AS available
   FROM skus s WHERE id = ANY($1::uuid[]) ORDER BY id`,
);
const availabilitiesOfProducts = statement<Omit<SkuAvailability, "available">>(
  "availabilityOfProduct",
  `SELECT id AS "skuId", product_id AS "productId", availability, availability_version AS version, digital FROM skus
   WHERE product_id = ANY($1::uuid[]) AND availability_version > 0 ORDER BY id`,
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
// Locked, so that first stock at two places is not counted by two who do not see each other.
const lockSku = statement<{ digital: boolean }>("skuLock", `SELECT digital FROM skus WHERE id = $1 FOR NO KEY UPDATE`);

export interface SkuAvailability {
  skuId: string;
  productId: string;
  availability: Availability;
  /** Events told of it: 0 where nobody knows it yet. */
  version: number;
  digital: boolean;
  /** Units over all locations that nobody has reserved. */
  available: number;
}

export interface NewMovement extends Omit<Movement, "reason" | "reference" | "lineId"> {
  id: string;
  reason: Movement["reason"] | "OPENING" | "RECEIPT" | "CORRECTION" | "LOSS";
  reference: string | null;
  lineId: string | null;
  actor: string | null;
}

/**
 * Locks what is held for the orders, in id order. The reservations are read by a statement of their own, which sees what
 * the lock has waited for.
 */
export async function lockOrderStock(
  tx: Transaction,
  of: { orderIds: string[]; withReservations: boolean },
): Promise<OrderStock[]> {
  const ids = [...new Set(of.orderIds)];
  if (ids.length === 0) return [];
  const [rows, reservations] = await Promise.all([
    tx.many(lockOrders, [ids]),
    of.withReservations ? tx.many(reservationsOf, [ids]) : [],
  ]);
  const orders = new Map(rows.map((row): [string, OrderStock] => [row.orderId, { ...row, reservations: [] }]));
  for (const reservation of reservations) orders.get(reservation.orderId)?.reservations.push(reservation);
  return [...orders.values()];
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

/** Writes what a batch changed. */
export async function saveStockChanges(tx: Transaction, changes: StockChanges): Promise<void> {
  const orders = changes.orders.map(({ reservations: _, ...row }) => row);
  const tables = [orders, changes.reservations, changes.movements, changes.stock];
  if (tables.some((rows) => rows.length > 0))
    await tx.run(
      saveChanges,
      tables.map((rows) => JSON.stringify(rows)),
    );
}

export async function findAvailabilities(tx: Queryable, skuIds: string[]): Promise<SkuAvailability[]> {
  return skuIds.length === 0 ? [] : tx.many(availabilities, [skuIds]);
}

export async function findAvailabilitiesOfProducts(tx: Queryable, productIds: string[]) {
  return tx.many(availabilitiesOfProducts, [productIds]);
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

export async function findLocation(db: Queryable, code: string | null): Promise<string | undefined> {
  return (code === null ? await db.one(firstLocation) : await db.one(locationByCode, [code]))?.id;
}

/** Locks a SKU against others that move stock by hand. */
export async function lockSkuKind(tx: Transaction, skuId: string): Promise<{ digital: boolean } | undefined> {
  return tx.one(lockSku, [skuId]);
}
