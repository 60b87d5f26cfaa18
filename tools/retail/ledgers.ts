/**
 * What the services' own tables say of what came from a file, read as the role that may read everything and write nothing.
 * External references tell what came from where: an invoice's number at its order, a customer's number at the customer, a
 * cancellation's line at its return.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "pg";
import type { QueryResultRow } from "pg";
import type { Plan } from "./plan.ts";
import { isConnectionLost } from "./staff.ts";

export interface OrderState {
  id: string;
  /** As the order carries it: the plan's, or with "~2" where a first order had come to nothing. */
  reference: string;
  number: string;
  status: string;
  shipments: { id: string; status: string }[];
}

export interface ReturnState {
  id: string;
  orderId: string;
  /** The cancellation and its line. */
  reference: string;
  number: string;
  status: string;
}

export interface Ledgers {
  many<Row extends QueryResultRow>(sql: string, parameters: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** A database that was restarted answers again within these seconds. */
const triesAtMost = 30;

/** Opens the tables, `databaseUrl` being that of the role `auditor`. */
export function openLedgers(databaseUrl: string): Ledgers {
  const pool = new Pool({ connectionString: databaseUrl, max: 2, application_name: "retail" });
  // A broken idle connection is replaced at the next query, which reports what is wrong.
  pool.on("error", () => {});
  return {
    async many<Row extends QueryResultRow>(sql: string, parameters: unknown[]) {
      for (let tries = 1; ; tries++) {
        try {
          return (await pool.query<Row>(sql, parameters)).rows;
        } catch (error) {
          if (!isConnectionLost(error) || tries === triesAtMost) throw error;
        }
        await sleep(1_000);
      }
    },
    close: () => pool.end(),
  };
}

/** An order that came to nothing is followed by another of its own reference: "536365", "536365~2", … */
export function attemptReference(reference: string, attempt: number): string {
  return attempt === 1 ? reference : `${reference}~${attempt}`;
}

/** The plan's reference, and the attempt. */
export function attemptOf(reference: string): { reference: string; attempt: number } {
  const [base = "", attempt = "1"] = reference.split("~");
  return { reference: base, attempt: Number(attempt) };
}

const orderColumns = `o.id, o.external_reference AS reference, o.number, o.status,
  coalesce((SELECT json_agg(json_build_object('id', s.id, 'status', s.status) ORDER BY s.id)
    FROM fulfillment.shipments s WHERE s.order_id = o.id), '[]') AS shipments`;

/** The latest order of each of these references, by reference. */
export async function findOrders(ledgers: Ledgers, references: string[]): Promise<Map<string, OrderState>> {
  const rows = await ledgers.many<OrderState>(
    `SELECT ${orderColumns} FROM orders.orders o WHERE split_part(o.external_reference, '~', 1) = ANY($1::text[])
     ORDER BY length(o.external_reference), o.external_reference`,
    [references],
  );
  return new Map(rows.map((order) => [attemptOf(order.reference).reference, order]));
}

/** The orders of these ids as they are now. */
export function ordersNow(ledgers: Ledgers, ids: string[]): Promise<OrderState[]> {
  return ledgers.many(`SELECT ${orderColumns} FROM orders.orders o WHERE o.id = ANY($1::uuid[])`, [ids]);
}

/** The lines' ids of each order, by position. */
export async function findOrderLines(ledgers: Ledgers, orderIds: string[]): Promise<Map<string, string[]>> {
  const rows = await ledgers.many<{ order_id: string; lines: string[] }>(
    `SELECT order_id, array_agg(id ORDER BY position) AS lines FROM orders.order_lines WHERE order_id = ANY($1::uuid[]) GROUP BY order_id`,
    [orderIds],
  );
  return new Map(rows.map((row) => [row.order_id, row.lines]));
}

const returnColumns = `r.id, r.order_id AS "orderId", r.external_reference AS reference, r.number, r.status`;

/** The returns of these orders that came from a file, but for those that were refused. */
export function findReturns(ledgers: Ledgers, orderIds: string[]): Promise<ReturnState[]> {
  return ledgers.many(
    `SELECT ${returnColumns} FROM exchanges.returns r
     WHERE r.order_id = ANY($1::uuid[]) AND r.external_reference IS NOT NULL AND r.status <> 'REJECTED'`,
    [orderIds],
  );
}

/** The returns of these ids as they are now. */
export function returnsNow(ledgers: Ledgers, ids: string[]): Promise<ReturnState[]> {
  return ledgers.many(`SELECT ${returnColumns} FROM exchanges.returns r WHERE r.id = ANY($1::uuid[])`, [ids]);
}

/** The customers' ids, by number. */
export async function findCustomers(ledgers: Ledgers, plan: Plan): Promise<Map<string, string>> {
  const rows = await ledgers.many<{ id: string; number: string }>(
    `SELECT id, external_reference AS number FROM customers.customers WHERE external_reference = ANY($1::text[])`,
    [plan.customers.map(({ number }) => number)],
  );
  return new Map(rows.map(({ number, id }) => [number, id]));
}

/** The articles' ids, by code, as orders knows them by now. */
export async function findSkus(ledgers: Ledgers, plan: Plan): Promise<Map<string, string>> {
  const rows = await ledgers.many<{ id: string; code: string }>(
    `SELECT s.id, s.code FROM inventory.skus s JOIN orders.catalogue_skus c ON c.sku_id = s.id WHERE s.code = ANY($1::text[])`,
    [plan.products.map(({ code }) => code)],
  );
  return new Map(rows.map(({ code, id }) => [code, id]));
}

/** Units of each article that nobody has reserved, by code; articles that are not there are missing. */
export async function findStock(
  ledgers: Ledgers,
  plan: Plan,
): Promise<Map<string, { skuId: string; available: number }>> {
  const rows = await ledgers.many<{ code: string; id: string; available: string }>(
    `SELECT s.code, s.id, coalesce(sum(t.on_hand - t.reserved), 0) AS available
     FROM inventory.skus s LEFT JOIN inventory.stock t ON t.sku_id = s.id WHERE s.code = ANY($1::text[]) GROUP BY s.id`,
    [plan.products.map(({ code }) => code)],
  );
  return new Map(rows.map(({ code, id, available }) => [code, { skuId: id, available: Number(available) }]));
}
