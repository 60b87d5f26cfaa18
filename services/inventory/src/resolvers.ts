import { invalid } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { isStaff, requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import { requireCurrency } from "./catalogue.ts";
import type { Commands } from "./commands.ts";
import type { ImportCommands } from "./commands-import.ts";
import type { Search } from "./commands-search.ts";
import { cursorOf } from "./commands-search.ts";
import type { StockCommands } from "./commands-stock.ts";
import type { Resolvers } from "./generated/graphql.ts";
import type { Lists, Product } from "./store-lists.ts";

interface Parts {
  commands: Commands;
  stock: StockCommands;
  imports: ImportCommands;
  search: Search;
  lists: Lists;
}

/** GraphQL in and out of inventory. */
export function createResolvers({ commands, stock, imports, search, lists }: Parts): Resolvers {
  const cursor = (after: string | null | undefined) => (after ? requireUuid(after, "after") : null);
  const productOf = (context: RequestContext, id: string) => context.load(lists.productsById, requireUuid(id, "id"));
  const skuOf = (context: RequestContext, id: string) => context.load(lists.skusById, requireUuid(id, "id"));

  function page<Row extends { id: string }>(rows: Row[], first: number) {
    const nodes = rows.slice(0, first);
    return { nodes, pageInfo: { hasNextPage: rows.length > first, endCursor: nodes.at(-1)?.id ?? null } };
  }

  /** What was just written, read again. */
  async function mustFind<Found>(found: Promise<Found | undefined>): Promise<Found> {
    const value = await found;
    if (value === undefined) throw new Error("what was written is not there");
    return value;
  }
  const visible = (product: Product | undefined, context: RequestContext) =>
    product?.published || isStaff(context.viewer) ? product : undefined;

  async function skuOnSale(context: RequestContext, id: string) {
    const sku = await skuOf(context, id);
    return sku && visible(await productOf(context, sku.productId), context) ? sku : undefined;
  }

  return {
    Query: {
      async product(_, { id, slug }, context) {
        if (id != null) return visible(await productOf(context, id), context);
        if (slug == null) throw invalid("slug", "Give the product's id or its slug.");
        return visible(await context.load(lists.productsBySlug, slug), context);
      },
      async products(_, { matching, sort, first, after }, context) {
        const found = await search.find(matching, sort, after ?? null, pageSize(first) + 1, isStaff(context.viewer));
        const nodes = found.slice(0, first);
        return {
          nodes,
          pageInfo: { hasNextPage: found.length > first, endCursor: nodes.length > 0 ? cursorOf(nodes.at(-1)!) : null },
        };
      },
      sku: (_, { id }, context) => skuOnSale(context, id),
      skus(_, { ids }, context) {
        if (ids.length === 0 || ids.length > 100) throw invalid("ids", "Ask for 1 to 100 ids at a time.");
        return Promise.all(ids.map((id) => skuOnSale(context, id)));
      },
      skusByCode(_, { codes }) {
        if (codes.length === 0 || codes.length > 500) throw invalid("codes", "Ask for 1 to 500 codes at a time.");
        return lists.skusByCode(codes) as never;
      },
      categories: () => lists.allCategories(),
      locations: () => lists.allLocations(),
      lowStock: async (_, { first, after }) => page(await lists.lowStock(cursor(after), pageSize(first) + 1), first),
    },
    Mutation: {
      async saveProduct(_, { input }, context) {
        const { id } = await commands.saveProduct(input);
        return { __typename: "ProductSaved", product: await mustFind(productOf(context, id)) };
      },
      async publishProduct(_, { input }, context) {
        const { id } = await commands.publishProduct(input.productId, input.published);
        return { __typename: "ProductSaved", product: await mustFind(productOf(context, id)) };
      },
      async setPrice(_, { input }, context) {
        const { id } = await commands.setPrice(input);
        return { __typename: "PriceSet", product: await mustFind(productOf(context, id)) };
      },
      async moveStock(_, { input }, context) {
        const { skuId } = await stock.moveStock(requireViewer(context.viewer), input);
        return { __typename: "StockMoved", sku: await mustFind(skuOf(context, skuId)) };
      },
      async importProducts(_, { input }, context) {
        const { created, products } = await imports.importProducts(requireViewer(context.viewer), input.products);
        return {
          __typename: "ProductsImported",
          created,
          products: await Promise.all(products.map(({ id }) => mustFind(productOf(context, id)))),
        };
      },
    },
    Product: {
      __resolveReference: (async (reference: { id?: string; slug?: string }, context: RequestContext) =>
        visible(
          reference.id === undefined
            ? await context.load(lists.productsBySlug, String(reference.slug))
            : await productOf(context, reference.id),
          context,
        )) as never,
      picture: ({ picture }) => (picture ? `/media/${picture}` : null),
      skus: async ({ id }, _, context) => (await context.load(lists.skusOfProducts, id)) ?? [],
      categories: async ({ id }, _, context) => (await context.load(lists.categoriesOf, id)) ?? [],
    },
    Sku: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) => skuOf(context, id)) as never,
      product: ({ productId }, _, context) => mustFind(productOf(context, productId)),
      async price({ id }, { currency }, context) {
        requireCurrency(currency, "currency");
        const price = (await context.load(lists.pricesOf, id))?.find((candidate) => candidate.currency === currency);
        return price ? { amountMinor: price.amountMinor, currency } : null;
      },
      stock: async ({ id }, _, context) => (await context.load(lists.stockOf, id)) ?? [],
      async movements({ id }, { first, after }) {
        const { nodes, pageInfo } = page(await lists.movementsOf(id, cursor(after), pageSize(first) + 1), first);
        return {
          nodes: nodes.map(({ locationCode, ...movement }) => ({ ...movement, location: locationCode })),
          pageInfo,
        };
      },
    },
    Category: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.categoriesById, requireUuid(id, "id"))) as never,
      parent: ({ parentId }, _, context) => (parentId ? context.load(lists.categoriesById, parentId) : null),
    },
  };
}
