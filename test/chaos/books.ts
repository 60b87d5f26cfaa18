import { unkept } from "@crowdcrunch/auditor/acknowledged";
import type { Acknowledged } from "@crowdcrunch/auditor/acknowledged";
import type { Query } from "@crowdcrunch/auditor/query";
import type { Pool } from "pg";
import { endStates } from "../e2e/steady-load.ts";

/** What the books say about orders that shoppers were told of; a sentence for each that is lost or doubled. */
export interface Verdict {
  lost: string[];
  doubled: string[];
}

interface OrderRow {
  id: string;
  number: string;
  key: string;
  status: string;
}

/** Invariant 22 and more: compares the driver's notes with the books, after quiet. */
export async function compare(
  books: Pool,
  acknowledged: readonly Acknowledged[],
  shopperIds: readonly string[],
): Promise<Verdict> {
  const { rows } = await books.query<OrderRow>(
    `SELECT id::text, number, idempotency_key::text AS key, status FROM orders.orders
     WHERE kind = 'SALE' AND (placed_by = ANY($1::uuid[]) OR id = ANY($2::uuid[]))`,
    [shopperIds, acknowledged.map(({ id }) => id)],
  );
  const query: Query = async (sql, values) => (await books.query(sql, values)).rows;
  const lost = (await unkept(query, acknowledged)).map(({ id, why }) => `${id}: ${why}`);
  const open = rows.filter(({ status }) => !endStates.includes(status));
  lost.push(...open.map(({ number, status }) => `${number} is still ${status}`));

  const keys = Map.groupBy(rows, ({ key }) => key);
  const doubled = [...keys].flatMap(([key, orders]) =>
    orders.length > 1 ? [`key ${key} placed ${orders.map(({ number }) => number).join(" and ")}`] : [],
  );
  const movedTwice = await books.query<{ number: string; what: string }>(movedTooMuch, [rows.map(({ id }) => id)]);
  doubled.push(...movedTwice.rows.map(({ number, what }) => `${number}: ${what}`));
  return { lost, doubled };
}

/** Cards that were charged, and goods that left, more than their order says: by the provider's own book and by stock. */
const movedTooMuch = `
  WITH mine AS (SELECT id, number, total_minor FROM orders.orders WHERE id = ANY($1::uuid[]))
  SELECT number, 'charged ' || sum(captured_minor) || ' of ' || total_minor AS what
  FROM mine JOIN provider.authorizations a ON a.reference = mine.id::text
  GROUP BY number, total_minor HAVING sum(captured_minor) > total_minor
  UNION ALL
  SELECT number, count(*) || ' holds on the card' FROM mine JOIN provider.authorizations a ON a.reference = mine.id::text
  WHERE a.held AND a.voided_minor < a.amount_minor GROUP BY number HAVING count(*) > 1
  UNION ALL
  SELECT number, 'line ' || l.id || ': ' || -sum(m.quantity) || ' of ' || l.quantity || ' units left'
  FROM mine JOIN orders.order_lines l ON l.order_id = mine.id
  JOIN inventory.movements m ON m.line_id = l.id AND m.reason = 'SALE'
  GROUP BY number, l.id, l.quantity HAVING -sum(m.quantity) > l.quantity`;
