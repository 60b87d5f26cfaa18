import { availabilityChanged } from "@crowdcrunch/events/inventory";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { idempotent, requireUuid } from "@crowdcrunch/kit/idempotency";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { availabilityOf } from "./stock.ts";
import {
  findAvailabilities,
  findAvailabilitiesOfProducts,
  findLocation,
  lockSkuKind,
  lockSkuStock,
  saveAvailabilities,
  saveStockChanges,
} from "./store-stock.ts";

const reasons = ["RECEIPT", "CORRECTION", "LOSS"] as const;
const unitsAtMost = 1_000_000_000;

export interface MoveStockInput {
  idempotencyKey: string;
  skuId: string;
  location: string;
  quantity: number;
  reason: string;
}

/**
 * Tells of SKUs whose availability went over a threshold, or that are new; movements between thresholds are nobody's
 * business. Call it after the stock is saved: it counts what lies at all locations, also at those that came meanwhile.
 */
export async function announceAvailability(tx: Transaction, skuIds: string[]): Promise<void> {
  const known = await findAvailabilities(tx, skuIds);
  const changed = known.flatMap((sku) => {
    const availability = sku.digital ? "IN_STOCK" : availabilityOf(sku.available);
    return sku.version > 0 && availability === sku.availability
      ? []
      : [{ ...sku, availability, version: sku.version + 1 } as const];
  });
  await saveAvailabilities(tx, changed);
  for (const { productId, skuId, availability, version } of changed) {
    tx.emit(availabilityChanged.create({ productId, skuId, availability, version }, { sequence: version }));
  }
}

/** Tells again what is known of the products' SKUs. Resolves to the number of events. */
export async function republishAvailability(tx: Transaction, productIds: string[]): Promise<number> {
  const known = await findAvailabilitiesOfProducts(tx, productIds);
  for (const { productId, skuId, availability, version } of known) {
    const data = { productId, skuId, availability, version };
    tx.emit(availabilityChanged.create(data, { sequence: version, republished: true }));
  }
  return known.length;
}

/** What staff do with stock. */
export function createStockCommands({ db, newId }: { db: Database; newId: () => string }) {
  return {
    /**
     * Adds to the stock of a SKU at a location, or takes from it what is not reserved. Throws InvalidInput, NotFound, or
     * NotPossible where so many are not there.
     */
    async moveStock(viewer: Viewer, input: MoveStockInput): Promise<{ skuId: string }> {
      const skuId = requireUuid(input.skuId, "skuId");
      if (!Number.isInteger(input.quantity) || input.quantity === 0 || Math.abs(input.quantity) > unitsAtMost) {
        throw invalid("quantity", `A movement is 1 to ${unitsAtMost} units in or out, and not zero.`);
      }
      if (!reasons.includes(input.reason as (typeof reasons)[number]))
        throw invalid("reason", `A reason is ${reasons.join(", ")}.`);
      if (input.reason === "RECEIPT" && input.quantity < 0) throw invalid("quantity", "A receipt adds to the stock.");
      if (input.reason === "LOSS" && input.quantity > 0) throw invalid("quantity", "A loss takes from the stock.");
      const { idempotencyKey, ...request } = input;
      return db.transaction((tx) =>
        idempotent(tx, { principal: viewer.sub, operation: "moveStock", key: idempotencyKey, request }, async () => {
          // Stock before its SKU, as orders' instructions lock them where little is left: or each waits for the other.
          await lockSkuStock(tx, [skuId]);
          const sku = await lockSkuKind(tx, skuId);
          if (!sku) throw notFound("There is no such SKU.");
          if (sku.digital) throw notPossible("DIGITAL", "Digital goods have no stock.");
          const locationId = await findLocation(tx, input.location);
          if (!locationId) throw invalid("location", `There is no location "${input.location}"; see locations.`);
          // Again, for what came to lie at a place for the first time meanwhile.
          const rows = await lockSkuStock(tx, [skuId]);
          let row = rows.find((candidate) => candidate.locationId === locationId);
          if (!row) rows.push((row = { skuId, locationId, onHand: 0, reserved: 0 }));
          row.onHand += input.quantity;
          if (row.onHand < row.reserved) {
            throw notPossible(
              row.reserved > 0 ? "RESERVED" : "OUT_OF_STOCK",
              `Only ${row.onHand - input.quantity - row.reserved} units are there that nobody has reserved.`,
            );
          }
          const movement = {
            id: newId(),
            skuId,
            locationId,
            quantity: input.quantity,
            reason: input.reason as (typeof reasons)[number],
            reference: null,
            lineId: null,
            actor: viewer.sub,
          };
          await saveStockChanges(tx, { orders: [], reservations: [], stock: [row], movements: [movement] });
          await announceAvailability(tx, [skuId]);
          return { skuId };
        }),
      );
    },
  };
}

export type StockCommands = ReturnType<typeof createStockCommands>;
