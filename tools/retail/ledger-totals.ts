/** The totals of a replay as the services' ledgers have them, and what two of them tell differently. */
import { findOrders } from "./ledgers.ts";
import type { Ledgers } from "./ledgers.ts";
import type { Plan } from "./plan.ts";
import type { Totals } from "./totals.ts";

/** What came to nothing is no sale. */
const dead = new Set(["REJECTED", "CANCELLED"]);

const salesSql = `SELECT count(*) AS lines, coalesce(sum(quantity - cancelled), 0) AS units,
    coalesce(sum(paid_minor), 0) AS amount FROM orders.order_lines WHERE order_id = ANY($1::uuid[])`;

const guestsSql = `SELECT o.id FROM orders.orders o WHERE o.id = ANY($1::uuid[])
    AND NOT EXISTS (SELECT FROM customers.customers c WHERE c.id = o.customer_id AND c.external_reference IS NOT NULL)`;

/** Money taken for the orders, as payments has booked it. */
const capturedSql = `SELECT coalesce(-sum(e.amount_minor), 0) AS amount
  FROM payments.payments p JOIN payments.ledger_transactions t ON t.payment_id = p.id
  JOIN payments.ledger_entries e ON e.transaction_id = t.id AND e.account = 'SALES' WHERE p.order_id = ANY($1::uuid[])`;

const deliveredSql = `SELECT coalesce(sum(l.quantity - l.cancelled), 0) AS units
  FROM fulfillment.shipments s JOIN fulfillment.shipment_lines l ON l.shipment_id = s.id
  WHERE s.order_id = ANY($1::uuid[]) AND s.status = 'DELIVERED'`;

const consumedSql = `SELECT coalesce(sum(consumed), 0) AS units FROM inventory.reservations WHERE order_id = ANY($1::uuid[])`;

/** Units that came back by cancellation line: the returns carry its reference, one for each order that it takes from. */
const returnedSql = `SELECT r.external_reference AS reference, sum(l.restocked + l.written_off) AS units
  FROM exchanges.returns r JOIN exchanges.return_lines l ON l.return_id = r.id
  WHERE r.order_id = ANY($1::uuid[]) AND r.external_reference = ANY($2::text[]) AND r.status = 'SETTLED'
  GROUP BY r.external_reference HAVING sum(l.restocked + l.written_off) > 0`;

const settledSql = `SELECT coalesce(sum(refunded_minor), 0) AS amount FROM exchanges.returns
  WHERE order_id = ANY($1::uuid[]) AND external_reference = ANY($2::text[]) AND status = 'SETTLED'`;

/** Money given back for these returns, as payments has booked it; orders knows which refund is for which return. */
const refundedSql = `SELECT coalesce(sum(e.amount_minor), 0) AS amount
  FROM exchanges.returns r JOIN orders.refunds f ON f.return_id = r.id
  JOIN payments.operations o ON o.refund_id = f.id AND o.status = 'SUCCEEDED'
  JOIN payments.ledger_transactions t ON t.payment_id = o.payment_id AND t.kind = o.kind AND t.sequence = o.sequence
  JOIN payments.ledger_entries e ON e.transaction_id = t.id AND e.account = 'REFUNDS'
  WHERE r.order_id = ANY($1::uuid[]) AND r.external_reference = ANY($2::text[])`;

const restockedSql = `SELECT coalesce(sum(b.quantity), 0) AS units
  FROM exchanges.returns r JOIN inventory.returned b ON b.return_id = r.id AND b.disposition <> 'REFUSED'
  WHERE r.order_id = ANY($1::uuid[]) AND r.external_reference = ANY($2::text[])`;

const productsSql = `SELECT count(*) AS count FROM inventory.skus WHERE code = ANY($1::text[])`;
const customersSql = `SELECT count(*) AS count FROM customers.customers WHERE external_reference = ANY($1::text[])`;

/**
 * The totals of what came from the file, from the services' ledgers. The file says only what to look for: its invoices,
 * codes and customers' numbers, and how many units each cancellation line wanted to give back. `differences` are
 * sentences about figures in which two services do not agree.
 */
export async function ledgerTotals(ledgers: Ledgers, plan: Plan): Promise<{ totals: Totals; differences: string[] }> {
  const found = await findOrders(
    ledgers,
    plan.orders.map(({ reference }) => reference),
  );
  const orders = [...found].filter(([, { status }]) => !dead.has(status));
  const ids = orders.map(([, { id }]) => id);
  const invoiceOf = new Map(orders.map(([reference, { id }]) => [id, reference.split("/")[0]!]));
  const invoicesOf = (orderIds: string[]) => new Set(orderIds.map((id) => invoiceOf.get(id))).size;
  const cancellations = plan.cancellationLines.map(({ reference }) => reference);
  async function number(sql: string, column: string, parameters: unknown[]): Promise<number> {
    const [row] = await ledgers.many(sql, parameters);
    return Number(row![column]);
  }

  const guests = await ledgers.many<{ id: string }>(guestsSql, [ids]);
  const returned = await ledgers.many<{ reference: string; units: string }>(returnedSql, [ids, cancellations]);
  const unitsBack = new Map(returned.map(({ reference, units }) => [reference, Number(units)]));
  const amountMinor = await number(capturedSql, "amount", [ids]);
  const refundMinor = await number(refundedSql, "amount", [ids, cancellations]);
  const totals: Totals = {
    invoices: invoicesOf(ids),
    lines: await number(salesSql, "lines", [ids]),
    units: await number(salesSql, "units", [ids]),
    amountMinor,
    products: await number(productsSql, "count", [plan.products.map(({ code }) => code)]),
    customers: await number(customersSql, "count", [plan.customers.map((customer) => customer.number)]),
    guestInvoices: invoicesOf(guests.map(({ id }) => id)),
    returnInvoices: new Set(returned.map(({ reference }) => reference.split("/")[0])).size,
    returnLines: returned.length,
    returnUnits: [...unitsBack.values()].reduce((sum, units) => sum + units, 0),
    refundMinor,
    unmatchedLines: plan.cancellationLines.filter(
      ({ reference, quantity }) => (unitsBack.get(reference) ?? 0) < quantity,
    ).length,
    netMinor: amountMinor - refundMinor,
  };

  const pairs: [string, number, string, number][] = [
    ["the amount in payments", amountMinor, "in orders", await number(salesSql, "amount", [ids])],
    ["units in orders", totals.units, "delivered by fulfillment", await number(deliveredSql, "units", [ids])],
    ["units in orders", totals.units, "taken out of stock", await number(consumedSql, "units", [ids])],
    ["the refund in payments", refundMinor, "in exchanges", await number(settledSql, "amount", [ids, cancellations])],
    [
      "units returned",
      totals.returnUnits,
      "put back by inventory",
      await number(restockedSql, "units", [ids, cancellations]),
    ],
  ];
  const differences = pairs
    .filter(([, one, , other]) => one !== other)
    .map(([what, one, elsewhere, other]) => `${what}: ${one}, ${elsewhere}: ${other}`);
  return { totals, differences };
}
