import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { Exchange, Return, ReturnLine, ReturnStatus } from "./return.ts";
import { exchangeColumns, returnColumns, returnLinesColumn } from "./store.ts";

// Returns and exchanges as the graph reads them; nothing is locked.

export interface ListedReturnLine extends ReturnLine {
  skuId: string;
  name: string;
}

/** A return with its owner and currency. */
export interface ListedReturn extends Return {
  lines: ListedReturnLine[];
  customerId: string;
  currency: string;
}

/** An exchange with its order, owner and currency. */
export interface ListedExchange extends Exchange {
  orderId: string;
  customerId: string;
  currency: string;
  /** What was paid for the units that were taken back. */
  creditMinor: number | null;
}

export interface OrderReference {
  id: string;
  customerId: string;
}

export interface WithId {
  id: string;
}

export interface ReturnableLineRow {
  orderId: string;
  lineId: string;
  skuId: string;
  name: string;
  /** Units that the shopper may return now. */
  quantity: number;
  returnBefore: Date;
}

const listed = `SELECT ${returnColumns}, ${returnLinesColumn}, o.customer_id AS "customerId", o.currency
  FROM returns r JOIN orders o USING (order_id)`;
const byId = statement<ListedReturn>("returnById", `${listed} WHERE r.id = ANY($1::uuid[])`);
const byNumber = statement<ListedReturn>("returnByNumber", `${listed} WHERE r.number = ANY($1::text[])`);
const byOrder = statement<ListedReturn>("returnByOrder", `${listed} WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.id`);
const page = statement<ListedReturn>(
  "returnPage",
  `${listed} WHERE ($1::text IS NULL OR r.status = $1) AND ($2::text IS NULL OR r.external_reference = $2)
     AND ($3::uuid IS NULL OR r.id > $3) ORDER BY r.id LIMIT $4`,
);
const exchanges = `SELECT ${exchangeColumns}, r.order_id AS "orderId", r.credit_minor AS "creditMinor",
    o.customer_id AS "customerId", o.currency
  FROM exchanges e JOIN returns r ON r.id = e.return_id JOIN orders o USING (order_id)`;
const exchangeById = statement<ListedExchange>("exchangeById", `${exchanges} WHERE e.id = ANY($1::uuid[])`);
const exchangeByReturn = statement<ListedExchange>(
  "exchangeByReturn",
  `${exchanges} WHERE e.return_id = ANY($1::uuid[])`,
);
const exchangeByOrder = statement<ListedExchange>(
  "exchangeByOrder",
  `${exchanges} WHERE r.order_id = ANY($1::uuid[]) ORDER BY e.id`,
);
const orderById = statement<OrderReference>(
  "orderById",
  `SELECT order_id AS id, customer_id AS "customerId" FROM orders WHERE order_id = ANY($1::uuid[])`,
);
const returnableByOrder = statement<ReturnableLineRow>(
  "returnableByOrder",
  `SELECT order_id AS "orderId", line_id AS "lineId", sku_id AS "skuId", name,
     delivered_at + make_interval(days => $2) AS "returnBefore",
     CASE WHEN now() <= delivered_at + make_interval(days => $2) THEN delivered - pending - returned ELSE 0 END AS quantity
   FROM order_lines WHERE order_id = ANY($1::uuid[]) AND delivered > 0 ORDER BY line_id`,
);

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createLists(db: Queryable, terms: { days: number }) {
  return {
    async returnsById(ids: readonly string[]): Promise<(ListedReturn | undefined)[]> {
      return inOrderOf(ids, await db.many(byId, [ids]), ({ id }) => id);
    },
    async returnsByNumber(numbers: readonly string[]): Promise<(ListedReturn | undefined)[]> {
      return inOrderOf(numbers, await db.many(byNumber, [numbers]), ({ number }) => number);
    },
    async returnsByOrder(orderIds: readonly string[]): Promise<ListedReturn[][]> {
      return groupedInOrderOf(orderIds, await db.many(byOrder, [orderIds]), ({ orderId }) => orderId);
    },
    async exchangesById(ids: readonly string[]): Promise<(ListedExchange | undefined)[]> {
      return inOrderOf(ids, await db.many(exchangeById, [ids]), ({ id }) => id);
    },
    async exchangesByReturn(returnIds: readonly string[]): Promise<(ListedExchange | undefined)[]> {
      return inOrderOf(returnIds, await db.many(exchangeByReturn, [returnIds]), ({ returnId }) => returnId);
    },
    async exchangesByOrder(orderIds: readonly string[]): Promise<ListedExchange[][]> {
      return groupedInOrderOf(orderIds, await db.many(exchangeByOrder, [orderIds]), ({ orderId }) => orderId);
    },
    async ordersById(ids: readonly string[]): Promise<(OrderReference | undefined)[]> {
      return inOrderOf(ids, await db.many(orderById, [ids]), ({ id }) => id);
    },
    async returnableByOrder(orderIds: readonly string[]): Promise<ReturnableLineRow[][]> {
      const rows = await db.many(returnableByOrder, [orderIds, terms.days]);
      return groupedInOrderOf(orderIds, rows, ({ orderId }) => orderId);
    },
    /** Oldest first. */
    searchReturns: (
      filter: { status: ReturnStatus | null; externalReference: string | null },
      after: string | null,
      limit: number,
    ) => db.many(page, [filter.status, filter.externalReference, after, limit]),
  };
}

export type Lists = ReturnType<typeof createLists>;
