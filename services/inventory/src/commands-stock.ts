import { availabilityChanged } from "@crowdcrunch/events/inventory";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { idempotent, requireUuid } from "@crowdcrunch/kit/idempotency";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Stock } from "./stock.ts";
import { availabilityOf, availableUnits, stockOf } from "./stock.ts";
import {
  findAvailabilities,
  findLocation,
  findSkuKind,
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

/** Tells of SKUs whose availability went over a threshold; movements between thresholds are nobody's business. */
export async function announceAvailability(tx: Transaction, stock: Stock): Promise<void> {
  const known = await findAvailabilities(tx, [...stock.keys()]);
  const changed = known.flatMap((sku) => {
    const availability = availabilityOf(availableUnits(stock, sku.skuId));
    return sku.digital || availability === sku.availability ? [] : [{ ...sku, availability, version: sku.version + 1 }];
  });
  await saveAvailabilities(tx, changed);
  for (const { productId, skuId, availability, version } of changed) {
    tx.emit(availabilityChanged.create({ productId, skuId, availability, version }, { sequence: version }));
  }
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
          const sku = await findSkuKind(tx, skuId);
          if (!sku) throw notFound("There is no such SKU.");
          if (sku.digital) throw notPossible("DIGITAL", "Digital goods have no stock.");
          const locationId = await findLocation(tx, input.location);
          if (!locationId) throw invalid("location", `There is no location "${input.location}"; see locations.`);
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
          await announceAvailability(tx, stockOf(rows));
          return { skuId };
        }),
      );
    },
  };
}

export type StockCommands = ReturnType<typeof createStockCommands>;
