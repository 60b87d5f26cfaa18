import type { OrderLine } from "./order.ts";

// Shapes that resolvers hand from one type's fields to the next.

/** A line with what it takes from its order. */
export interface GraphLine extends OrderLine {
  orderId: string;
  customerId: string;
  currency: string;
}

/** A reference to what another service owns. */
export interface WithId {
  id: string;
}

/** A cart as the gateway sends it, for the quote. */
export interface CartReference {
  id: string;
  lines?: { skuId: string; quantity: number }[];
  couponCode?: string | null;
  shipTo?: { countryCode: string; postalCode: string } | null;
}

export function money(amountMinor: number, currency: string) {
  return { amountMinor, currency };
}
