// What is bought together: products of one order, in pairs.

/** Products of an order that count, so that a wholesaler's thousand lines do not make a million pairs. */
export const mostProducts = 8;

/** An order as the statistics see it. */
export interface Basket {
  customerId: string;
  productIds: string[];
}

export interface Pair {
  customerId: string;
  productId: string;
  otherId: string;
}

/** Every product of the basket with every other, both ways; of a large order only the first eight products. */
export function pairsOf(basket: Basket): Pair[] {
  const { customerId } = basket;
  const products = [...new Set(basket.productIds)].slice(0, mostProducts);
  return products.flatMap((productId) =>
    products.filter((otherId) => otherId !== productId).map((otherId) => ({ customerId, productId, otherId })),
  );
}

/** What a person's own wishes and purchases say about recommendations. */
export interface Taste {
  /** The person declined recommendations. */
  declined: boolean;
  /** What the person, who agreed to recommendations, has bought. */
  bought: string[];
}

/** What is shown to this person: nothing after a refusal, and nothing that was bought before. */
export function recommendable(productIds: string[], taste: Taste | undefined, most: number): string[] {
  if (taste?.declined) return [];
  const bought = new Set(taste?.bought);
  return productIds.filter((id) => !bought.has(id)).slice(0, most);
}
