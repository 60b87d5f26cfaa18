import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import type { GraphLine } from "./graph.ts";
import type { OrderHead } from "./order.ts";
import { orderColumns } from "./store.ts";

// Orders as the graph reads them: by id, by number, in pages; nothing is locked.

const byId = statement<OrderHead>("orderById", `SELECT ${orderColumns} FROM orders o WHERE o.id = ANY($1::uuid[])`);
const byNumber = statement<OrderHead>(
  "orderByNumber",
  `SELECT ${orderColumns} FROM orders o WHERE o.number = ANY($1::text[])`,
);
const ofCustomer = statement<OrderHead>(
  "orderOfCustomer",
  `SELECT ${orderColumns} FROM orders o WHERE o.customer_id = $1 AND ($2::uuid IS NULL OR o.id < $2) ORDER BY o.id DESC LIMIT $3`,
);
const search = statement<OrderHead>(
  "orderSearch",
  `SELECT ${orderColumns} FROM orders o
   WHERE ($1::text IS NULL OR o.status = $1) AND ($2::text IS NULL OR lower(o.email) = lower($2))
     AND ($3::text IS NULL OR o.number = $3 OR o.external_reference = $3) AND ($4::uuid IS NULL OR o.id < $4)
   ORDER BY o.id DESC LIMIT $5`,
);
const timelines = statement<TimelineRow>(
  "timelineOf",
  `SELECT order_id AS "orderId", at, what, detail, actor FROM timeline WHERE order_id = ANY($1::uuid[]) ORDER BY id`,
);
/** A line with what it takes from its order. */
const lineColumns = `l.id, l.order_id AS "orderId", l.position, l.sku_id AS "skuId", l.product_id AS "productId", l.name, l.quantity,
  l.unit_minor AS "unitMinor", l.tax_minor AS "taxMinor", l.discount_minor AS "discountMinor", l.paid_minor AS "paidMinor",
  l.digital, l.price_version AS "priceVersion", l.agreed, l.shipped, l.delivered, l.lost, l.cancelled, l.returned,
  l.refunded_minor AS "refundedMinor", o.customer_id AS "customerId", o.currency`;
const linesOfOrders = statement<GraphLine>(
  "orderLineOf",
  `SELECT ${lineColumns} FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE l.order_id = ANY($1::uuid[]) ORDER BY l.order_id, l.position`,
);
const linesById = statement<GraphLine>(
  "orderLineById",
  `SELECT ${lineColumns} FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE l.id = ANY($1::uuid[])`,
);
const overdueOrders = statement<{ id: string }>(
  "orderOverdue",
  `SELECT order_id AS id FROM deadlines WHERE at < now() ORDER BY at LIMIT $1`,
);
const ofGuest = statement<{ id: string }>("orderOfGuest", `SELECT id FROM orders WHERE customer_id = $1 ORDER BY id`);
const byExchange = statement<{ id: string }>(
  "orderByExchange",
  `SELECT id FROM orders WHERE exchange_id = ANY($1::uuid[])`,
);
const redact = statement(
  "orderRedact",
  `UPDATE orders SET email = NULL, ship_to = NULL, bill_to = NULL WHERE customer_id = ANY($1::uuid[])`,
);
const markErased = statement(
  "erasedInsert",
  `INSERT INTO erased (customer_id, at) SELECT unnest($1::uuid[]), now() ON CONFLICT DO NOTHING`,
);
export interface TimelineRow {
  orderId: string;
  at: Date;
  what: string;
  detail: string | null;
  actor: Actor | null;
}

export interface OrderFilter {
  status: string | null;
  email: string | null;
  /** The order's number, or the external reference. */
  number: string | null;
}

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createLists(db: Queryable) {
  async function ordersById(ids: readonly string[]): Promise<(OrderHead | undefined)[]> {
    return inOrderOf(ids, await db.many(byId, [ids]), (order) => order.id);
  }
  return {
    ordersById,
    async ordersByNumber(numbers: readonly string[]): Promise<(OrderHead | undefined)[]> {
      return inOrderOf(numbers, await db.many(byNumber, [numbers]), (order) => order.number);
    },
    async linesById(ids: readonly string[]): Promise<(GraphLine | undefined)[]> {
      return inOrderOf(ids, await db.many(linesById, [ids]), (line) => line.id);
    },
    async linesByOrder(ids: readonly string[]): Promise<GraphLine[][]> {
      return groupedInOrderOf(ids, await db.many(linesOfOrders, [ids]), (line) => line.orderId);
    },
    async timelinesByOrder(ids: readonly string[]): Promise<TimelineRow[][]> {
      return groupedInOrderOf(ids, await db.many(timelines, [ids]), (row) => row.orderId);
    },
    /** Newest first, one more than `limit` where there are more. */
    ordersOfCustomer: (customerId: string, after: string | null, limit: number) =>
      db.many(ofCustomer, [customerId, after, limit]),
    searchOrders: (filter: OrderFilter, after: string | null, limit: number) =>
      db.many(search, [filter.status, filter.email, filter.number, after, limit]),
  };
}

export type Lists = ReturnType<typeof createLists>;

/** Orders whose reservation has ended by the database's clock. */
export async function findOverdue(db: Queryable, limit: number): Promise<string[]> {
  return (await db.many(overdueOrders, [limit])).map(({ id }) => id);
}

export async function findOrdersOfGuest(tx: Queryable, guestId: string): Promise<string[]> {
  return (await tx.many(ofGuest, [guestId])).map(({ id }) => id);
}

export async function findReplacements(tx: Queryable, exchangeIds: string[]): Promise<string[]> {
  return (await tx.many(byExchange, [exchangeIds])).map(({ id }) => id);
}

/** Forgets who the people are; their orders stay, without name, address and e-mail. */
export async function eraseCustomers(tx: Queryable, customerIds: string[]): Promise<void> {
  await tx.run(markErased, [customerIds]);
  await tx.run(redact, [customerIds]);
}
