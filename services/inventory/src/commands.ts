import { productChanged } from "@crowdcrunch/events/inventory";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { invalid, notFound, problem } from "@crowdcrunch/kit/errors";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import type { Republish } from "@crowdcrunch/kit/operations";
import type { ProductInput } from "./catalogue.ts";
import { requirePrice, requireProduct, skuName } from "./catalogue.ts";
import { announceAvailability, republishAvailability } from "./commands-stock.ts";
import type { ProductState } from "./store.ts";
import {
  findIdsAfter,
  findProductForUpdate,
  findProductOfSku,
  findSkusOfProduct,
  findStates,
  findTaken,
  findUnknownCategories,
} from "./store.ts";
import {
  lockCatalogue,
  nextVersions,
  removeOtherPrices,
  saveCatalogue,
  savePrices,
  setPublished,
  unlistOthers,
} from "./store.ts";

/** Tells the products' new state. */
export async function announceProducts(tx: Transaction, ids: string[]): Promise<void> {
  for (const state of await nextVersions(tx, ids)) emitState(tx, state, false);
}

function emitState(tx: Transaction, state: ProductState, republished: boolean): void {
  const { image, ...rest } = state;
  const data = {
    ...rest,
    ...(image ? { image: `/media/${image}` } : {}),
    skus: state.skus.map((sku) => ({ ...sku, name: skuName(state.name, sku.options) })),
  };
  tx.emit(productChanged.create(data, { sequence: state.version, ...(republished ? { republished } : {}) }));
}

/** Publishes the products' and their SKUs' current state at their current versions. */
export const republish: Republish = async (tx, after, limit) => {
  const ids = await findIdsAfter(tx, after, limit);
  for (const state of await findStates(tx, ids)) emitState(tx, state, true);
  return { last: ids.at(-1) ?? null, events: ids.length + (await republishAvailability(tx, ids)) };
};

/** What staff do with the catalogue. */
export function createCommands({ db, newId }: { db: Database; newId: () => string }) {
  return {
    /** Creates a product, or changes the one of the given id as a whole. Throws InvalidInput, NotFound, CodeTaken. */
    async saveProduct(input: ProductInput): Promise<{ id: string }> {
      requireProduct(input);
      const id = input.id == null ? newId() : requireUuid(input.id, "id");
      return db.transaction(async (tx) => {
        // One at a time, so that two cannot find the same slug or code free.
        await lockCatalogue(tx);
        if (input.id != null && !(await findProductForUpdate(tx, id))) throw notFound("There is no such product.");
        const [unknown] = await findUnknownCategories(tx, input.categories ?? []);
        if (unknown) throw invalid("categories", `There is no category "${unknown}"; see categories.`);
        const [taken] = await findTaken(
          tx,
          id,
          input.slug,
          input.skus.map(({ code }) => code),
        );
        if (taken)
          throw problem("CodeTaken", `Another product has this ${taken === "slug" ? "slug" : `code: ${taken}`}.`, {
            code: taken === "slug" ? input.slug : taken,
          });
        const known = new Map((await findSkusOfProduct(tx, id)).map((sku) => [sku.id, sku]));
        const skus = input.skus.map((sku, position) => {
          const skuId =
            sku.id == null
              ? ([...known.values()].find(({ code }) => code === sku.code)?.id ?? newId())
              : requireUuid(sku.id, `skus[${position}].id`);
          if (sku.id != null && !known.has(skuId))
            throw invalid(`skus[${position}].id`, "The product has no such SKU.");
          const digital = sku.digital ?? false;
          if (known.has(skuId) && known.get(skuId)?.digital !== digital)
            throw invalid(`skus[${position}].digital`, "A SKU stays digital or physical.");
          return {
            id: skuId,
            productId: id,
            position,
            code: sku.code,
            options: sku.options ?? [],
            digital,
            weightGrams: sku.weightGrams ?? 0,
          };
        });
        const prices = input.skus.flatMap((sku, index) =>
          sku.prices.map((price) => ({ skuId: skus[index]!.id, ...price })),
        );
        const skuIds = skus.map((sku) => sku.id);
        if (new Set(skuIds).size < skuIds.length) throw invalid("skus", "A SKU of the product is named twice.");
        await removeOtherPrices(tx, skuIds, prices);
        await saveCatalogue(tx, {
          products: [
            {
              id,
              slug: input.slug,
              name: input.name.trim(),
              description: input.description,
              picture: input.picture ?? null,
              taxClass: input.taxClass ?? "standard",
              published: input.published ?? true,
            },
          ],
          skus,
          prices,
          categories: (input.categories ?? []).map((slug) => ({ productId: id, slug })),
        });
        await unlistOthers(tx, id, skuIds);
        await announceProducts(tx, [id]);
        await announceAvailability(tx, skuIds);
        return { id };
      });
    },

    /** Puts a product on sale or takes it off. Throws NotFound. */
    async publishProduct(productId: string, published: boolean): Promise<{ id: string }> {
      const id = requireUuid(productId, "productId");
      return db.transaction(async (tx) => {
        const product = await findProductForUpdate(tx, id);
        if (!product) throw notFound("There is no such product.");
        if (product.published !== published) {
          await setPublished(tx, id, published);
          await announceProducts(tx, [id]);
        }
        return { id };
      });
    },

    /** Sets a SKU's price in a currency; the same price again changes nothing. Throws NotFound, InvalidInput. */
    async setPrice(input: { skuId: string; currency: string; amountMinor: number }): Promise<{ id: string }> {
      const skuId = requireUuid(input.skuId, "skuId");
      requirePrice(input, "price");
      return db.transaction(async (tx) => {
        const id = await findProductOfSku(tx, skuId);
        if (!id) throw notFound("There is no such SKU.");
        await findProductForUpdate(tx, id);
        if (await savePrices(tx, [{ skuId, currency: input.currency, amountMinor: input.amountMinor }]))
          await announceProducts(tx, [id]);
        return { id };
      });
    },
  };
}

export type Commands = ReturnType<typeof createCommands>;
