import type { Database } from "@crowdcrunch/kit/database";
import { invalid } from "@crowdcrunch/kit/errors";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { requirePrices, requireTaxClass, requireText, slugOf } from "./catalogue.ts";
import { announceProducts } from "./commands.ts";
import { announceAvailability } from "./commands-stock.ts";
import { addLocations, findImported, lockCatalogue, saveCatalogue } from "./store.ts";
import { findLocation, saveStockChanges } from "./store-stock.ts";

export interface ImportedProductInput {
  code: string;
  name: string;
  description?: string | null;
  taxClass?: string | null;
  prices: { currency: string; amountMinor: number }[];
  stock?: number | null;
}

const productsAtMost = 500;
const unitsAtMost = 1_000_000_000;

/** Products from elsewhere, by their code there. */
export function createImports({ db, newId }: { db: Database; newId: () => string }) {
  return {
    /**
     * Creates the products of whose code there is no SKU yet, each with one SKU and its opening stock; what is
     * known stays as it is, so that a second import changes nothing. Resolves to the SKUs of all, in order.
     */
    async importProducts(
      viewer: Viewer,
      products: ImportedProductInput[],
    ): Promise<{ created: number; products: { id: string; skuId: string }[] }> {
      requireImport(products);
      return db.transaction(async (tx) => {
        await lockCatalogue(tx);
        const codes = products.map(({ code }) => code);
        const known = new Map(
          (await findImported(tx, codes)).map((row) => [row.code, { id: row.id, skuId: row.skuId }]),
        );
        const fresh = products
          .filter(({ code }) => !known.has(code))
          .map((product) => ({ ...product, id: newId(), skuId: newId() }));
        for (const { code, id, skuId } of fresh) known.set(code, { id, skuId });
        if (fresh.length > 0) {
          await saveCatalogue(tx, {
            products: fresh.map(({ id, name, description, taxClass }) => ({
              id,
              // Codes that differ by case alone are different products: the id keeps their slugs apart.
              slug: `${slugOf(name) || "product"}-${id.slice(-12)}`,
              name: name.trim(),
              description: description ?? "",
              picture: null,
              taxClass: taxClass ?? "zero",
              published: true,
            })),
            skus: fresh.map(({ id, skuId, code }) => ({
              id: skuId,
              productId: id,
              position: 0,
              code,
              options: [],
              digital: false,
              weightGrams: 0,
            })),
            prices: fresh.flatMap(({ skuId, prices }) => prices.map((price) => ({ skuId, ...price }))),
            categories: [],
          });
          const locationId = (await findLocation(tx, null)) ?? (await firstLocation());
          const stocked = fresh.filter(({ stock }) => (stock ?? 0) > 0);
          const rows = stocked.map(({ skuId, stock }) => ({ skuId, locationId, onHand: stock!, reserved: 0 }));
          const movements = rows.map(({ skuId, onHand }) => ({
            id: newId(),
            skuId,
            locationId,
            quantity: onHand,
            reason: "OPENING" as const,
            reference: `import ${skuId}`,
            lineId: null,
            actor: viewer.sub,
          }));
          await saveStockChanges(tx, { orders: [], reservations: [], stock: rows, movements });
          await announceProducts(
            tx,
            fresh.map(({ id }) => id),
          );
          await announceAvailability(
            tx,
            fresh.map(({ skuId }) => skuId),
          );
        }
        return { created: fresh.length, products: codes.map((code) => known.get(code)!) };

        async function firstLocation(): Promise<string> {
          const id = newId();
          await addLocations(tx, [{ id, code: "main", name: "Main warehouse" }]);
          return id;
        }
      });
    },
  };
}

export type ImportCommands = ReturnType<typeof createImports>;

function requireImport(products: ImportedProductInput[]): void {
  if (products.length === 0 || products.length > productsAtMost)
    throw invalid("products", `An import has 1 to ${productsAtMost} products at a time.`);
  const codes = new Set<string>();
  for (const [index, product] of products.entries()) {
    const at = `products[${index}]`;
    requireText(product.code, `${at}.code`, 64);
    if (codes.has(product.code)) throw invalid(`${at}.code`, `The code ${product.code} stands twice.`);
    codes.add(product.code);
    requireText(product.name, `${at}.name`, 200);
    requireTaxClass(product.taxClass, `${at}.taxClass`);
    requirePrices(product.prices, `${at}.prices`);
    if (product.stock != null && (product.stock < 0 || product.stock > unitsAtMost))
      throw invalid(`${at}.stock`, `Stock is 0 to ${unitsAtMost} units.`);
  }
}
