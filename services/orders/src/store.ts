import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Cancellation, Effects, Order, OrderLine, Refund, TimelineEntry } from "./order.ts";
import { tellProgress } from "./progress.ts";

// Orders as the saga reads and writes them: whole, with their lines, locked in id order.

/** An order's own columns by the names of `Order`; what reads lists uses the same. */
export const orderColumns = `o.id, o.number, o.kind, o.status, o.customer_id AS "customerId", o.version, o.email, o.currency,
  json_build_object('itemsMinor', o.items_minor, 'taxMinor', o.tax_minor, 'shippingMinor', o.shipping_minor,
    'discountMinor', o.discount_minor, 'totalMinor', o.total_minor) AS totals,
  o.ship_to AS "shipTo", o.shipping_method AS "shippingMethod", o.coupon_code AS "couponCode", o.cart_id AS "cartId",
  o.exchange_id AS "exchangeId", o.replaces_order_id AS "replacesOrderId", o.return_id AS "returnId",
  o.credit_minor AS "creditMinor", o.funding, o.stock_reserved AS "stockReserved", o.payment_token AS "paymentToken",
  o.payment_id AS "paymentId", o.payment_state AS "paymentState", o.payment_attempt AS "paymentAttempt",
  o.payment_url AS "paymentUrl", o.due_minor AS "dueMinor", o.capture_sequence AS "captureSequence",
  o.capture_asked_minor AS "captureAskedMinor", o.captured_minor AS "capturedMinor", o.refunded_minor AS "refundedMinor",
  o.awaits_stock AS "awaitsStock", o.awaits_void AS "awaitsVoid", o.deadline_at AS "deadlineAt", o.placed_at AS "placedAt"`;

const linesColumn = `(SELECT json_agg(json_build_object('id', l.id, 'position', l.position, 'skuId', l.sku_id, 'productId', l.product_id,
     'name', l.name, 'quantity', l.quantity, 'unitMinor', l.unit_minor, 'taxMinor', l.tax_minor,
     'discountMinor', l.discount_minor, 'paidMinor', l.paid_minor, 'digital', l.digital, 'priceVersion', l.price_version,
     'agreed', l.agreed, 'shipped', l.shipped, 'delivered', l.delivered, 'lost', l.lost, 'cancelled', l.cancelled,
     'returned', l.returned, 'refundedMinor', l.refunded_minor) ORDER BY l.position)
   FROM order_lines l WHERE l.order_id = o.id) AS lines`;

/** Locks first and reads after it: a subselect beside FOR UPDATE would still see the lines from before the wait. */
const lockOrders = statement("orderLock", `SELECT FROM orders WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`);
const readOrders = statement<Order>(
  "orderRead",
  `SELECT ${orderColumns}, ${linesColumn} FROM orders o WHERE o.id = ANY($1::uuid[]) ORDER BY o.id`,
);

const updateOrders = statement(
  "orderUpdate",
  `UPDATE orders o SET status = c.status, customer_id = c.customer_id, version = c.version, credit_minor = c.credit_minor,
     funding = c.funding, stock_reserved = c.stock_reserved, payment_token = c.payment_token, payment_id = c.payment_id,
     payment_state = c.payment_state, payment_attempt = c.payment_attempt, payment_url = c.payment_url, due_minor = c.due_minor,
     capture_sequence = c.capture_sequence, capture_asked_minor = c.capture_asked_minor, captured_minor = c.captured_minor,
     refunded_minor = c.refunded_minor, awaits_stock = c.awaits_stock, awaits_void = c.awaits_void, deadline_at = c.deadline_at
   FROM json_to_recordset($1::json) AS c(id uuid, status text, customer_id uuid, version int, credit_minor bigint, funding json,
     stock_reserved boolean, payment_token text, payment_id uuid, payment_state text, payment_attempt int, payment_url text,
     due_minor bigint, capture_sequence int, capture_asked_minor bigint, captured_minor bigint, refunded_minor bigint,
     awaits_stock boolean, awaits_void boolean, deadline_at timestamptz)
   WHERE o.id = c.id`,
);

const updateLines = statement(
  "orderLineUpdate",
  `UPDATE order_lines l SET shipped = c.shipped, delivered = c.delivered, lost = c.lost, cancelled = c.cancelled,
     returned = c.returned, refunded_minor = c.refunded_minor
   FROM json_to_recordset($1::json) AS c(id uuid, shipped int, delivered int, lost int, cancelled int, returned int, refunded_minor bigint)
   WHERE l.id = c.id`,
);

const removeDeadlines = statement("deadlineRemove", `DELETE FROM deadlines WHERE order_id = ANY($1::uuid[])`);
const saveDeadlines = statement(
  "deadlineSave",
  `INSERT INTO deadlines (order_id, at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])
   ON CONFLICT (order_id) DO UPDATE SET at = excluded.at`,
);

const insertTimeline = statement(
  "timelineInsert",
  `INSERT INTO timeline (order_id, what, detail, actor)
   SELECT "orderId", what, detail, actor
   FROM json_to_recordset($1::json) AS n("orderId" uuid, what text, detail text, actor json)`,
);

const upsertCancellations = statement(
  "cancellationUpsert",
  `INSERT INTO cancellations (id, order_id, reason, status, open_units)
   SELECT id, "orderId", reason, status, "openUnits"
   FROM json_to_recordset($1::json) AS n(id uuid, "orderId" uuid, reason text, status text, "openUnits" int)
   ON CONFLICT (id) DO UPDATE SET status = excluded.status, open_units = excluded.open_units`,
);

const upsertRefunds = statement(
  "refundUpsert",
  `INSERT INTO refunds (id, order_id, payment_id, return_id, reason, amount_minor, lines, status)
   SELECT id, "orderId", "paymentId", "returnId", reason, "amountMinor", lines, status
   FROM json_to_recordset($1::json) AS n(id uuid, "orderId" uuid, "paymentId" uuid, "returnId" uuid, reason text,
     "amountMinor" bigint, lines json, status text)
   ON CONFLICT (id) DO UPDATE SET status = excluded.status`,
);

const freeCoupons = statement("couponFree", `UPDATE coupons SET uses = uses - 1 WHERE code = $1 AND uses > 0`);

const refundColumns = `id, order_id AS "orderId", payment_id AS "paymentId", return_id AS "returnId", reason,
  amount_minor AS "amountMinor", lines, status`;
const refundsById = statement<Refund>("refundById", `SELECT ${refundColumns} FROM refunds WHERE id = ANY($1::uuid[])`);
const cancellationColumns = `id, order_id AS "orderId", reason, status, open_units AS "openUnits"`;
const cancellationsById = statement<Cancellation>(
  "cancellationById",
  `SELECT ${cancellationColumns} FROM cancellations WHERE id = ANY($1::uuid[])`,
);
const openCancellation = statement<{ id: string }>(
  "cancellationOpen",
  `SELECT id FROM cancellations WHERE order_id = $1 AND status = 'REQUESTED' LIMIT 1`,
);

/** Orders of one transaction: read and locked once, changed in memory, written once. */
export interface OrderBook {
  get(id: string): Order | undefined;
  all(): Order[];
  /** Tells what no event tells yet, and writes the changed orders and the effects, each table with one statement. */
  save(effects: Effects): Promise<void>;
}

/** Locks the orders in id order and reads them whole. */
export async function openBook(tx: Transaction, ids: string[]): Promise<OrderBook> {
  const wanted = [[...new Set(ids)]];
  const [, rows] = await Promise.all([tx.run(lockOrders, wanted), tx.many(readOrders, wanted)]);
  const orders = new Map<string, Order>();
  const before = new Map<string, string>();
  const linesBefore = new Map<string, string>();
  const deadlinesBefore = new Map(rows.map((order) => [order.id, order.deadlineAt?.getTime()]));
  for (const order of rows) {
    orders.set(order.id, order);
    before.set(order.id, JSON.stringify(orderRow(order)));
    for (const line of order.lines) linesBefore.set(line.id, JSON.stringify(lineRow(line)));
  }
  return {
    get: (id) => orders.get(id),
    all: () => [...orders.values()],
    async save(effects) {
      tellProgress([...orders.values()], effects);
      const changed = [...orders.values()].map(orderRow).filter((row) => JSON.stringify(row) !== before.get(row.id));
      if (changed.length > 0) await tx.run(updateOrders, [JSON.stringify(changed)]);
      const lines = [...orders.values()]
        .flatMap((order) => order.lines.map(lineRow))
        .filter((row) => JSON.stringify(row) !== linesBefore.get(row.id));
      if (lines.length > 0) await tx.run(updateLines, [JSON.stringify(lines)]);
      const moved = [...orders.values()].filter(
        ({ id, deadlineAt }) => deadlineAt?.getTime() !== deadlinesBefore.get(id),
      );
      const ended = moved.filter(({ deadlineAt }) => deadlineAt === null).map(({ id }) => id);
      const set = moved.flatMap(({ id, deadlineAt }) => (deadlineAt ? [{ id, at: deadlineAt }] : []));
      if (ended.length > 0) await tx.run(removeDeadlines, [ended]);
      if (set.length > 0) await tx.run(saveDeadlines, [set.map(({ id }) => id), set.map(({ at }) => at)]);
      await saveEffects(tx, effects);
    },
  };
}

/** Writes what a decision wants beside the orders' own state. */
export async function saveEffects(tx: Transaction, effects: Effects): Promise<void> {
  if (effects.timeline.length > 0) {
    await tx.run(insertTimeline, [JSON.stringify(effects.timeline)]);
    tx.afterCommit(() => logTimeline(tx.log, effects.timeline));
  }
  if (effects.cancellations.length > 0)
    await tx.run(upsertCancellations, [JSON.stringify(latest(effects.cancellations))]);
  if (effects.refunds.length > 0) await tx.run(upsertRefunds, [JSON.stringify(latest(effects.refunds))]);
  for (const code of effects.couponsFreed) await tx.run(freeCoupons, [code]);
  for (const incident of effects.incidents) await openIncident(tx, effects.newId, incident);
  for (const event of effects.events) tx.emit(event);
}

/** By its number an order can be followed in the log. Particulars stay in the timeline: some are about people. */
function logTimeline(log: Logger, entries: TimelineEntry[]): void {
  for (const { orderId, orderNumber, what } of entries)
    log.info({ order_number: orderNumber, order_id: orderId }, what);
}

/** One row an id: a batch may decide on the same row twice. */
function latest<Row extends { id: string }>(rows: Row[]): Row[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

/** The columns that change along an order's way. */
export function orderRow(order: Order) {
  return {
    id: order.id,
    status: order.status,
    customer_id: order.customerId,
    version: order.version,
    credit_minor: order.creditMinor,
    funding: order.funding,
    stock_reserved: order.stockReserved,
    payment_token: order.paymentToken,
    payment_id: order.paymentId,
    payment_state: order.paymentState,
    payment_attempt: order.paymentAttempt,
    payment_url: order.paymentUrl,
    due_minor: order.dueMinor,
    capture_sequence: order.captureSequence,
    capture_asked_minor: order.captureAskedMinor,
    captured_minor: order.capturedMinor,
    refunded_minor: order.refundedMinor,
    awaits_stock: order.awaitsStock,
    awaits_void: order.awaitsVoid,
    deadline_at: order.deadlineAt,
  };
}

function lineRow(line: OrderLine) {
  const { id, shipped, delivered, lost, cancelled, returned } = line;
  return { id, shipped, delivered, lost, cancelled, returned, refunded_minor: line.refundedMinor };
}

const clock = statement<{ at: Date }>("clockAfter", `SELECT now() + make_interval(secs => $1) AS at`);

/** The moment so many seconds from now, by the database's clock. */
export async function momentAfter(tx: Queryable, seconds: number): Promise<Date> {
  const row = await tx.one(clock, [seconds]);
  if (!row) throw new Error("the database gave no time");
  return row.at;
}

/** Refunds by id; none is no statement. */
export async function findRefunds(tx: Queryable, ids: string[]): Promise<Map<string, Refund>> {
  const rows = ids.length === 0 ? [] : await tx.many(refundsById, [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Cancellations by id; none is no statement. */
export async function findCancellations(tx: Queryable, ids: string[]): Promise<Map<string, Cancellation>> {
  const rows = ids.length === 0 ? [] : await tx.many(cancellationsById, [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** True while fulfillment has not answered a cancellation of the order. */
export async function hasOpenCancellation(tx: Queryable, orderId: string): Promise<boolean> {
  return (await tx.one(openCancellation, [orderId])) !== undefined;
}
