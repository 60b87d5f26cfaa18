import { statement } from "@crowdcrunch/kit/database";
import type { Queryable, Transaction } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { Effects, Exchange, Order, OrderLine, Return } from "./return.ts";

// Orders with their returns and exchanges, as decisions read and write them: whole, locked in the order of their ids.

interface LockedRow {
  orderId: string;
  customerId: string;
  number: string;
  currency: string;
  now: Date;
}

// Locked first and read by the statements behind it: a single statement would show other tables as they were before it
// waited for the lock.
const lockOrders = statement<LockedRow>(
  "orderLock",
  `SELECT order_id AS "orderId", customer_id AS "customerId", number, currency, now() AS now
   FROM orders WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR UPDATE`,
);
const linesOf = statement<OrderLine & { orderId: string }>(
  "orderLineOf",
  `SELECT order_id AS "orderId", line_id AS "lineId", sku_id AS "skuId", name, quantity, paid_minor AS "paidMinor",
     delivered, delivered_at AS "deliveredAt", pending, returned
   FROM order_lines WHERE order_id = ANY($1::uuid[]) ORDER BY line_id`,
);

/** A return's columns by the names of `Return`; what reads lists uses the same. */
export const returnColumns = `r.id, r.number, r.order_id AS "orderId", r.status, r.version, r.reason, r.comment, r.rejection,
  r.external_reference AS "externalReference", r.credit_minor AS "creditMinor", r.refunded_minor AS "refundedMinor",
  r.requested_at AS "requestedAt", r.approved_at AS "approvedAt", r.received_at AS "receivedAt",
  r.inspected_at AS "inspectedAt", r.settled_at AS "settledAt"`;

/** A return's lines as JSON by the names of `ReturnLine`, with what the order's line says of them. */
export const returnLinesColumn = `(SELECT json_agg(json_build_object('lineId', l.line_id, 'skuId', o.sku_id, 'name', o.name,
    'quantity', l.quantity, 'received', l.received, 'restocked', l.restocked, 'writtenOff', l.written_off,
    'refused', l.refused) ORDER BY l.line_id)
   FROM return_lines l JOIN order_lines o USING (line_id) WHERE l.return_id = r.id) AS lines`;

/** An exchange's columns by the names of `Exchange`. */
export const exchangeColumns = `e.id, e.return_id AS "returnId", e.status, e.version, e.replacements,
  e.payment_token AS "paymentToken", e.replacement_order_id AS "replacementOrderId",
  e.replacement_minor AS "replacementMinor", e.failure`;

const returnsOf = statement<Return>(
  "returnOf",
  `SELECT ${returnColumns}, ${returnLinesColumn} FROM returns r WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.id`,
);
const exchangesOf = statement<Exchange & { orderId: string }>(
  "exchangeOf",
  `SELECT ${exchangeColumns}, r.order_id AS "orderId" FROM exchanges e JOIN returns r ON r.id = e.return_id
   WHERE r.order_id = ANY($1::uuid[]) ORDER BY e.id`,
);

const updateLines = statement(
  "orderLineUpdate",
  `UPDATE order_lines l SET pending = c.pending, returned = c.returned
   FROM json_to_recordset($1::json) AS c("lineId" uuid, pending int, returned int) WHERE l.line_id = c."lineId"`,
);
const saveReturns = statement(
  "returnSave",
  `INSERT INTO returns (id, number, order_id, status, version, reason, comment, rejection, external_reference, credit_minor,
     refunded_minor, requested_at, approved_at, received_at, inspected_at, settled_at)
   SELECT id, number, "orderId", status, version, reason, comment, rejection, "externalReference", "creditMinor",
     "refundedMinor", "requestedAt", "approvedAt", "receivedAt", "inspectedAt", "settledAt"
   FROM json_to_recordset($1::json) AS c(id uuid, number text, "orderId" uuid, status text, version int, reason text,
     comment text, rejection text, "externalReference" text, "creditMinor" bigint, "refundedMinor" bigint,
     "requestedAt" timestamptz, "approvedAt" timestamptz, "receivedAt" timestamptz, "inspectedAt" timestamptz,
     "settledAt" timestamptz)
   ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version, rejection = excluded.rejection,
     credit_minor = excluded.credit_minor, refunded_minor = excluded.refunded_minor, approved_at = excluded.approved_at,
     received_at = excluded.received_at, inspected_at = excluded.inspected_at, settled_at = excluded.settled_at`,
);
const saveReturnLines = statement(
  "returnLineSave",
  `INSERT INTO return_lines (return_id, line_id, quantity, received, restocked, written_off, refused)
   SELECT "returnId", "lineId", quantity, received, restocked, "writtenOff", refused
   FROM json_to_recordset($1::json) AS c("returnId" uuid, "lineId" uuid, quantity int, received int, restocked int,
     "writtenOff" int, refused int)
   ON CONFLICT (return_id, line_id) DO UPDATE SET received = excluded.received, restocked = excluded.restocked,
     written_off = excluded.written_off, refused = excluded.refused`,
);
const saveExchanges = statement(
  "exchangeSave",
  `INSERT INTO exchanges (id, return_id, status, version, replacements, payment_token, replacement_order_id, replacement_minor, failure)
   SELECT id, "returnId", status, version, replacements, "paymentToken", "replacementOrderId", "replacementMinor", failure
   FROM json_to_recordset($1::json) AS c(id uuid, "returnId" uuid, status text, version int, replacements json,
     "paymentToken" text, "replacementOrderId" uuid, "replacementMinor" bigint, failure text)
   ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version, payment_token = excluded.payment_token,
     replacement_order_id = excluded.replacement_order_id, replacement_minor = excluded.replacement_minor,
     failure = excluded.failure`,
);

/** Orders of one transaction: locked and read once, changed in memory, each table written by one statement. */
export interface OrderBook {
  /** The transaction's time by the database's clock. */
  now: Date;
  get(orderId: string): Order | undefined;
  all: Order[];
  save(effects: Effects, newId: () => string): Promise<void>;
}

/** Locks the orders in the order of their ids and reads them with all that came back of them. */
export async function openBook(tx: Transaction, orderIds: string[]): Promise<OrderBook> {
  const ids = [...new Set(orderIds)];
  const rows = await tx.many(lockOrders, [ids]);
  const [lines, returns, exchanges] = await Promise.all([
    tx.many(linesOf, [ids]),
    tx.many(returnsOf, [ids]),
    tx.many(exchangesOf, [ids]),
  ]);
  const orders = rows.map(({ now: _, ...row }): Order => {
    const own = <Part extends { orderId: string }>(parts: Part[]) =>
      parts.filter(({ orderId }) => orderId === row.orderId);
    return { ...row, lines: own(lines), returns: own(returns), exchanges: own(exchanges) };
  });
  const before = rowsOf(orders);
  return {
    now: rows[0]?.now ?? new Date(0),
    get: (orderId) => orders.find((order) => order.orderId === orderId),
    all: orders,
    async save(effects, newId) {
      const after = rowsOf(orders);
      await write(tx, updateLines, before.lines, after.lines);
      await write(tx, saveReturns, before.returns, after.returns);
      await write(tx, saveReturnLines, before.returnLines, after.returnLines);
      await write(tx, saveExchanges, before.exchanges, after.exchanges);
      for (const incident of effects.incidents) await openIncident(tx, newId, incident);
      for (const event of effects.events) tx.emit(event);
    },
  };
}

/** Rows as JSON by their identity, to tell what was changed. */
type Rows = Map<string, string>;

function rowsOf(orders: Order[]) {
  const lines: Rows = new Map();
  const returns: Rows = new Map();
  const returnLines: Rows = new Map();
  const exchanges: Rows = new Map();
  for (const order of orders) {
    for (const { lineId, pending, returned } of order.lines) {
      lines.set(lineId, JSON.stringify({ lineId, pending, returned }));
    }
    for (const { lines: own, ...given } of order.returns) {
      returns.set(given.id, JSON.stringify(given));
      for (const line of own) {
        returnLines.set(`${given.id} ${line.lineId}`, JSON.stringify({ returnId: given.id, ...line }));
      }
    }
    for (const exchange of order.exchanges) exchanges.set(exchange.id, JSON.stringify(exchange));
  }
  return { lines, returns, returnLines, exchanges };
}

async function write(tx: Queryable, query: ReturnType<typeof statement>, before: Rows, after: Rows): Promise<void> {
  const changed = [...after].filter(([key, row]) => before.get(key) !== row).map(([, row]) => row);
  if (changed.length > 0) await tx.run(query, [`[${changed.join(",")}]`]);
}
