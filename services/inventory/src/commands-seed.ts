import type { Database } from "@crowdcrunch/kit/database";
import { announceProducts } from "./commands.ts";
import { announceAvailability } from "./commands-stock.ts";
import type { PriceRow, ProductRow, SkuRow } from "./store.ts";
import { addCategoriesOf, addLocations, hasProducts, lockCatalogue, saveCatalogue } from "./store.ts";
import type { NewMovement } from "./store-stock.ts";
import { saveStockChanges } from "./store-stock.ts";

/** The starter catalogue as its files have it: services/inventory/catalogue. */
export interface StarterCatalogue {
  locations: { code: string; name: string }[];
  categories: { slug: string; name: string; description: string; parent?: string }[];
  products: {
    slug: string;
    name: string;
    description: string;
    category: string;
    taxClass: string;
    picture: string;
    skus: {
      code: string;
      options: Record<string, string>;
      digital: boolean;
      weightGrams: number;
      prices: Record<string, number>;
      stock: Record<string, number>;
    }[];
  }[];
}

/** Loads the starter catalogue into a shop that has no product, once, whole or not at all. Resolves to whether it did. */
export async function loadStarterCatalogue(
  context: { db: Database; newId: () => string },
  catalogue: StarterCatalogue,
): Promise<boolean> {
  const { db, newId } = context;
  if (await hasProducts(db)) return false;
  return db.transaction(async (tx) => {
    await lockCatalogue(tx);
    if (await hasProducts(tx)) return false;
    const locations = catalogue.locations.map((location) => ({ id: newId(), ...location }));
    const locationIds = new Map(locations.map(({ code, id }) => [code, id]));
    await addLocations(tx, locations);
    await addCategoriesOf(
      tx,
      catalogue.categories.filter(({ parent }) => !parent).map((category) => ({ id: newId(), ...category })),
    );
    await addChildCategories();

    const products: ProductRow[] = [];
    const skus: SkuRow[] = [];
    const prices: PriceRow[] = [];
    const categories: { productId: string; slug: string }[] = [];
    const stock: { skuId: string; locationId: string; onHand: number; reserved: number }[] = [];
    const movements: NewMovement[] = [];
    for (const product of catalogue.products) {
      const productId = newId();
      const { slug, name, description, picture, taxClass } = product;
      products.push({ id: productId, slug, name, description, picture, taxClass, published: true });
      categories.push({ productId, slug: product.category });
      for (const [position, sku] of product.skus.entries()) {
        const skuId = newId();
        const options = Object.entries(sku.options).map(([option, value]) => ({ name: option, value }));
        skus.push({
          id: skuId,
          productId,
          position,
          code: sku.code,
          options,
          digital: sku.digital,
          weightGrams: sku.weightGrams,
        });
        for (const [currency, amountMinor] of Object.entries(sku.prices)) prices.push({ skuId, currency, amountMinor });
        for (const [code, onHand] of Object.entries(sku.stock)) {
          const locationId = locationIds.get(code);
          if (!locationId) throw new Error(`the starter catalogue names the location ${code}, which it does not have`);
          stock.push({ skuId, locationId, onHand, reserved: 0 });
          if (onHand > 0)
            movements.push({
              id: newId(),
              skuId,
              locationId,
              quantity: onHand,
              reason: "OPENING",
              reference: `opening ${skuId} ${code}`,
              lineId: null,
              actor: null,
            });
        }
      }
    }
    await saveCatalogue(tx, { products, skus, prices, categories });
    await saveStockChanges(tx, { orders: [], reservations: [], stock, movements });
    await announceProducts(
      tx,
      products.map(({ id }) => id),
    );
    await announceAvailability(
      tx,
      skus.map(({ id }) => id),
    );
    return true;

    async function addChildCategories(): Promise<void> {
      const children = catalogue.categories.filter(({ parent }) => parent);
      if (children.length > 0)
        await addCategoriesOf(
          tx,
          children.map((category) => ({ id: newId(), ...category })),
        );
    }
  });
}
