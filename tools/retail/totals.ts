/** The four lines in which a replay is summed up. */
import { decimal } from "./money.ts";
import type { Plan } from "./plan.ts";

export interface Totals {
  invoices: number;
  lines: number;
  units: number;
  amountMinor: number;
  products: number;
  customers: number;
  guestInvoices: number;
  returnInvoices: number;
  returnLines: number;
  returnUnits: number;
  refundMinor: number;
  unmatchedLines: number;
  netMinor: number;
}

/** The four lines. */
export function linesOf(totals: Totals): string[] {
  const { invoices, lines, units, amountMinor, refundMinor, netMinor } = totals;
  return [
    `sale invoices ${invoices} lines ${lines} units ${units} amount ${decimal(amountMinor)}`,
    `products ${totals.products} customers ${totals.customers} guest invoices ${totals.guestInvoices}`,
    `return invoices ${totals.returnInvoices} lines ${totals.returnLines} units ${totals.returnUnits} refund ${decimal(refundMinor)} cancellation lines not wholly matched ${totals.unmatchedLines}`,
    `net ${decimal(netMinor)}`,
  ];
}

/** What the plan comes to when it is carried out. */
export function totalsOf(plan: Plan): Totals {
  const sums = { lines: 0, units: 0, amountMinor: 0, returnUnits: 0, refundMinor: 0 };
  for (const { lines } of plan.orders) {
    for (const { quantity, unitMinor } of lines) {
      sums.lines++;
      sums.units += quantity;
      sums.amountMinor += quantity * unitMinor;
    }
  }
  const orders = new Map(plan.orders.map((order) => [order.reference, order]));
  const returned = new Map<string, number>();
  for (const { reference, orderReference, lines } of plan.returns) {
    for (const { position, quantity } of lines) {
      returned.set(reference, (returned.get(reference) ?? 0) + quantity);
      sums.returnUnits += quantity;
      sums.refundMinor += quantity * orders.get(orderReference)!.lines[position]!.unitMinor;
    }
  }
  return {
    ...sums,
    invoices: new Set(plan.orders.map(({ invoice }) => invoice)).size,
    products: plan.products.length,
    customers: plan.customers.length,
    guestInvoices: new Set(plan.orders.filter(({ customer }) => customer === "").map(({ invoice }) => invoice)).size,
    returnInvoices: new Set(plan.returns.map(({ reference }) => reference.split("/")[0])).size,
    returnLines: returned.size,
    unmatchedLines: plan.cancellationLines.filter(
      ({ reference, quantity }) => (returned.get(reference) ?? 0) < quantity,
    ).length,
    netMinor: sums.amountMinor - sums.refundMinor,
  };
}
