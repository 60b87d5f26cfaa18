import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";

// The read model of orders: a batch of events at a time.

const insertOrders = statement(
  "orderInsert",
  `WITH inserted AS (
     INSERT INTO orders (order_id, customer_id, number, currency)
     SELECT "orderId", "customerId", number, currency
     FROM json_to_recordset($1::json) AS n("orderId" uuid, "customerId" uuid, number text, currency text)
     ON CONFLICT (order_id) DO NOTHING
   )
   INSERT INTO order_lines (line_id, order_id, sku_id, name, quantity, paid_minor)
   SELECT "lineId", "orderId", "skuId", name, quantity, "paidMinor"
   FROM json_to_recordset($2::json) AS n("lineId" uuid, "orderId" uuid, "skuId" uuid, name text, quantity int, "paidMinor" bigint)
   ON CONFLICT (line_id) DO NOTHING`,
);
const addDelivered = statement(
  "orderLineDelivered",
  `UPDATE order_lines l SET delivered = l.delivered + n.units, delivered_at = greatest(l.delivered_at, n.at)
   FROM (SELECT line_id, sum(units) AS units, max(at) AS at
         FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS u(line_id, units, at) GROUP BY line_id) n
   WHERE l.line_id = n.line_id`,
);
const setOwner = statement(
  "orderReassign",
  `UPDATE orders o SET customer_id = n.customer_id
   FROM unnest($1::uuid[], $2::uuid[]) AS n(order_id, customer_id) WHERE o.order_id = n.order_id`,
);
const ordersConcerned = statement<{ orderId: string }>(
  "orderConcerned",
  `SELECT r.order_id AS "orderId" FROM returns r LEFT JOIN exchanges e ON e.return_id = r.id
   WHERE e.id = ANY($1::uuid[]) OR r.id = ANY($2::uuid[])`,
);

export interface NewOrder {
  orderId: string;
  customerId: string;
  number: string;
  currency: string;
  /** The physical ones. */
  lines: { lineId: string; skuId: string; name: string; quantity: number; paidMinor: number }[];
}

/** Stores confirmed orders; those that are here already stay as they are. */
export async function createOrders(tx: Transaction, orders: NewOrder[]): Promise<void> {
  const lines = orders.flatMap(({ orderId, lines: own }) => own.map((line) => ({ orderId, ...line })));
  await tx.run(insertOrders, [JSON.stringify(orders.map(({ lines: _, ...row }) => row)), JSON.stringify(lines)]);
}

/** Units arrived: they may come back from here on. */
export async function recordDelivered(
  tx: Transaction,
  units: { lineId: string; quantity: number; at: string }[],
): Promise<void> {
  await tx.run(addDelivered, [
    units.map(({ lineId }) => lineId),
    units.map(({ quantity }) => quantity),
    units.map(({ at }) => at),
  ]);
}

/** The orders belong to these customers from here on; an order that is not there will come with its owner. */
export async function setOwners(tx: Transaction, owners: Map<string, string>): Promise<void> {
  await tx.run(setOwner, [[...owners.keys()], [...owners.values()]]);
}

/** The orders whose goods these exchanges and returns are about. */
export async function findOrdersConcerned(
  tx: Queryable,
  ids: { exchangeIds: string[]; returnIds: string[] },
): Promise<string[]> {
  return (await tx.many(ordersConcerned, [ids.exchangeIds, ids.returnIds])).map(({ orderId }) => orderId);
}

const findByNumber = statement<{ orderId: string; customerId: string }>(
  "orderByNumber",
  `SELECT order_id AS "orderId", customer_id AS "customerId" FROM orders WHERE number = $1`,
);
const findByReturn = statement<{ orderId: string }>(
  "orderByReturn",
  `SELECT order_id AS "orderId" FROM returns WHERE number = $1`,
);

export function findOrder(db: Queryable, number: string): Promise<{ orderId: string; customerId: string } | undefined> {
  return db.one(findByNumber, [number]);
}

export async function findOrderOfReturn(db: Queryable, returnNumber: string): Promise<string | undefined> {
  return (await db.one(findByReturn, [returnNumber]))?.orderId;
}

const markErased = statement(
  "erasedInsert",
  `INSERT INTO erased (customer_id, at) SELECT unnest($1::uuid[]), now() ON CONFLICT DO NOTHING`,
);
const lockOrdersOf = statement<{ orderId: string }>(
  "orderOfCustomer",
  `SELECT order_id AS "orderId" FROM orders WHERE customer_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);
const redact = statement(
  "returnRedact",
  `UPDATE returns SET comment = NULL WHERE order_id = ANY($1::uuid[]) AND comment IS NOT NULL`,
);
const findErased = statement<{ id: string }>(
  "erasedFind",
  `SELECT customer_id AS id FROM erased WHERE customer_id = $1`,
);

/** Forgets what people wrote, now and for what arrives late: a request holds the order's lock, as this does. */
export async function eraseCustomers(tx: Transaction, customerIds: string[]): Promise<void> {
  await tx.run(markErased, [customerIds]);
  const orders = await tx.many(lockOrdersOf, [customerIds]);
  await tx.run(redact, [orders.map(({ orderId }) => orderId)]);
}

export async function isErased(tx: Queryable, customerId: string): Promise<boolean> {
  return (await tx.one(findErased, [customerId])) !== undefined;
}
