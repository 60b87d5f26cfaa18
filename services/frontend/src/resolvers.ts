import { invalid } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireViewer } from "@crowdcrunch/kit/identity";
import type { Database } from "@crowdcrunch/kit/database";
import { recommendable } from "./basket.ts";
import { emptyCart, linesInOrder } from "./cart.ts";
import type { Commands } from "./commands.ts";
import type { Resolvers } from "./generated/graphql.ts";
import type { CartReads } from "./store.ts";
import { findPage } from "./store-pages.ts";
import type { RecommendationReads } from "./store-people.ts";

/** GraphQL in and out of frontend. */
export function createResolvers(parts: {
  db: Database;
  newId: () => string;
  commands: Commands;
  carts: CartReads;
  recommendations: RecommendationReads;
}): Resolvers {
  const { db, newId, commands, carts, recommendations } = parts;
  const cartById = (id: string, context: RequestContext) => context.load(carts.cartsById, requireUuid(id, "id"));

  return {
    Query: {
      async cart(_, { id }, context) {
        if (id != null) return cartById(id, context);
        const { sub } = requireViewer(context.viewer);
        return (await carts.openCartOf(sub)) ?? emptyCart(newId(), sub);
      },
      page: (_, { slug }) => findPage(db, slug),
    },
    Mutation: {
      setCartLine: async (_, { input }, context) => ({
        __typename: "CartChanged",
        cart: await commands.setCartLine(requireViewer(context.viewer), input),
      }),
      setCartDetails: async (_, { input }, context) => ({
        __typename: "CartChanged",
        cart: await commands.setCartDetails(requireViewer(context.viewer), input),
      }),
    },
    Cart: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) => cartById(id, context)) as never,
      lines: (cart) => linesInOrder(cart.lines),
      open: (cart) => cart.status === "OPEN",
    },
    CartLine: {
      sku: ({ skuId }) => ({ id: skuId }),
    },
    Product: {
      __resolveReference: (({ id }: { id: string }) => ({ id })) as never,
      async alsoBought({ id }, { first }, context) {
        if (first < 1 || first > 20) throw invalid("first", "A list has 1 to 20 entries.");
        const [others, taste] = await Promise.all([
          context.load(recommendations.boughtWith, requireUuid(id, "id")),
          context.viewer ? context.load(recommendations.tasteOf, context.viewer.sub) : undefined,
        ]);
        return recommendable(others ?? [], taste, first).map((otherId) => ({ id: otherId }));
      },
    },
    Page: {
      product: ({ productId }) => ({ id: productId }),
    },
    PageOffer: {
      sku: ({ skuId }) => ({ id: skuId }),
    },
  };
}
