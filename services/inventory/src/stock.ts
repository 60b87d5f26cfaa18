import type { Availability } from "@crowdcrunch/events/inventory";

// Stock as a batch of events sees it: rows that are locked and read once, changed in memory in the order of the events,
// and written once. All or none of an order's lines are reserved; nothing is ever clamped.

export interface StockRow {
  skuId: string;
  locationId: string;
  onHand: number;
  reserved: number;
}

export interface Reservation {
  orderId: string;
  lineId: string;
  skuId: string;
  locationId: string;
  quantity: number;
  consumed: number;
  released: number;
}

export interface WantedLine {
  lineId: string;
  skuId: string;
  quantity: number;
  digital: boolean;
}

export interface Shortage {
  lineId: string;
  requested: number;
  available: number;
}

export interface Movement {
  skuId: string;
  locationId: string;
  quantity: number;
  reason: "SALE" | "RETURN";
  reference: string;
  lineId: string;
}

/** Below this many available units a SKU is low in stock. */
export const lowStockBelow = 6;

/** What shoppers are told of the units available over all locations. */
export function availabilityOf(available: number): Availability {
  if (available <= 0) return "OUT_OF_STOCK";
  return available < lowStockBelow ? "LOW_STOCK" : "IN_STOCK";
}

/** The stock of some SKUs, by SKU. */
export type Stock = Map<string, StockRow[]>;

export function stockOf(rows: StockRow[]): Stock {
  const stock: Stock = new Map();
  for (const row of rows) {
    const list = stock.get(row.skuId);
    if (list) list.push(row);
    else stock.set(row.skuId, [row]);
  }
  return stock;
}

export function availableUnits(stock: Stock, skuId: string): number {
  return (stock.get(skuId) ?? []).reduce((sum, row) => sum + row.onHand - row.reserved, 0);
}

/**
 * SKUs of which few or none were or are left: those whose availability may have changed. What was and is plentiful at
 * the locations that are locked is so with the others, too.
 */
export function runningLow(skuIds: Iterable<string>, before: Stock, after: Stock): string[] {
  return [...skuIds].filter((skuId) =>
    [before, after].some((stock) => availabilityOf(availableUnits(stock, skuId)) !== "IN_STOCK"),
  );
}

/**
 * Reserves all physical lines or none, from the locations that have most. Lines of one SKU count together. Resolves to
 * the reservations, or to the lines that fall short.
 */
export function reserve(
  stock: Stock,
  orderId: string,
  lines: WantedLine[],
): { reservations: Reservation[] } | { short: Shortage[] } {
  const physical = lines.filter((line) => !line.digital);
  const left = new Map<string, number>();
  const short: Shortage[] = [];
  for (const line of physical) {
    const available = left.get(line.skuId) ?? availableUnits(stock, line.skuId);
    if (line.quantity > available) short.push({ lineId: line.lineId, requested: line.quantity, available });
    else left.set(line.skuId, available - line.quantity);
  }
  if (short.length > 0) return { short };

  const reservations: Reservation[] = [];
  for (const { lineId, skuId, quantity } of physical) {
    let missing = quantity;
    // One location, if any has enough: one parcel instead of two.
    const rows = [...(stock.get(skuId) ?? [])].sort((a, b) => b.onHand - b.reserved - (a.onHand - a.reserved));
    for (const row of rows) {
      const taken = Math.min(missing, row.onHand - row.reserved);
      if (taken <= 0) continue;
      row.reserved += taken;
      missing -= taken;
      reservations.push({
        orderId,
        lineId,
        skuId,
        locationId: row.locationId,
        quantity: taken,
        consumed: 0,
        released: 0,
      });
    }
  }
  return { reservations };
}

/** Units of a line that are still held, by reservation. */
function held(reservations: Reservation[], lineId: string): Reservation[] {
  return reservations.filter(
    (reservation) =>
      reservation.lineId === lineId && reservation.quantity > reservation.consumed + reservation.released,
  );
}

function rowOf(stock: Stock, reservation: Reservation): StockRow {
  const row = stock.get(reservation.skuId)?.find(({ locationId }) => locationId === reservation.locationId);
  if (!row) throw new Error(`no stock row for ${reservation.skuId} at ${reservation.locationId}`);
  return row;
}

/** Gives back what is held for units of a line. Resolves to the units given back. */
export function release(stock: Stock, reservations: Reservation[], lineId: string, quantity: number): number {
  let missing = quantity;
  for (const reservation of held(reservations, lineId)) {
    const units = Math.min(missing, reservation.quantity - reservation.consumed - reservation.released);
    reservation.released += units;
    rowOf(stock, reservation).reserved -= units;
    missing -= units;
    if (missing === 0) break;
  }
  return quantity - missing;
}

/** Takes units of a line out of stock, because they left. Resolves to the movements. */
export function consume(
  stock: Stock,
  reservations: Reservation[],
  line: { lineId: string; quantity: number },
  reference: string,
): Movement[] {
  let missing = line.quantity;
  const movements: Movement[] = [];
  for (const reservation of held(reservations, line.lineId)) {
    const units = Math.min(missing, reservation.quantity - reservation.consumed - reservation.released);
    const row = rowOf(stock, reservation);
    reservation.consumed += units;
    row.reserved -= units;
    row.onHand -= units;
    missing -= units;
    movements.push({
      skuId: reservation.skuId,
      locationId: reservation.locationId,
      quantity: -units,
      reason: "SALE",
      reference,
      lineId: line.lineId,
    });
    if (missing === 0) break;
  }
  if (missing > 0) throw new Error(`${missing} units of line ${line.lineId} left without a reservation`);
  return movements;
}
