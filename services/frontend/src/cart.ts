import type { PostalAddress } from "@crowdcrunch/events/contract";
import { invalid } from "@crowdcrunch/kit/errors";

// Carts: types, limits and decisions.

/** Units of a line that a cart may have; real wholesalers order that much. */
export const mostUnits = 100_000;
/** Lines that a cart may have. */
export const mostLines = 1_000;

/** Lines by SKU as they are stored; `position` orders them and may have gaps. */
export type Lines = Record<string, { position: number; quantity: number }>;

export interface Cart {
  id: string;
  /** The owner: a token's `sub`. */
  customerId: string;
  /** The guest whose cart it was. */
  claimedFrom: string | null;
  status: "OPEN" | "ORDERED";
  lines: Lines;
  couponCode: string | null;
  shipTo: PostalAddress | null;
  version: number;
}

export interface CartLine {
  skuId: string;
  quantity: number;
}

/** A cart that nothing was put into yet, and that is not stored before something is. */
export function emptyCart(id: string, customerId: string): Cart {
  return { id, customerId, claimedFrom: null, status: "OPEN", lines: {}, couponCode: null, shipTo: null, version: 0 };
}

/** The lines in the order in which they were put into the cart. */
export function linesInOrder(lines: Lines): CartLine[] {
  return Object.entries(lines)
    .sort(([a, first], [b, second]) => first.position - second.position || (a < b ? -1 : 1))
    .map(([skuId, { quantity }]) => ({ skuId, quantity }));
}

/** Throws InvalidInput unless the quantity is 0 (takes the line out) or one that a line may have. */
export function requireQuantity(quantity: number): void {
  if (!Number.isInteger(quantity) || quantity < 0 || quantity > mostUnits)
    throw invalid("quantity", "A line has 1 to 100,000 units; 0 takes it out.");
}

/** The code as coupons are kept, or null for none. Throws InvalidInput for what can be no code. */
export function requireCouponCode(text: string | null): string | null {
  const code = text?.trim().toUpperCase() ?? "";
  if (code === "") return null;
  if (!/^[A-Z0-9-]{3,40}$/.test(code)) throw invalid("couponCode", "A code has 3 to 40 letters, digits and dashes.");
  return code;
}

/** True if an order of this person may close the cart: its owner's, or the guest's who owned it. */
export function mayClose(cart: Cart, customerId: string): boolean {
  return cart.customerId === customerId || cart.claimedFrom === customerId;
}

/**
 * What of the cart an order took, and what was put in since or left out of the order: that stays in an open cart.
 */
export function splitByOrder(lines: Lines, ordered: CartLine[]): { taken: Lines; rest: Lines } {
  const units = new Map<string, number>();
  for (const { skuId, quantity } of ordered) units.set(skuId, (units.get(skuId) ?? 0) + quantity);
  const taken: Lines = {};
  const rest: Lines = {};
  for (const [skuId, { position, quantity }] of Object.entries(lines)) {
    const takenUnits = Math.min(quantity, units.get(skuId) ?? 0);
    if (takenUnits > 0) taken[skuId] = { position, quantity: takenUnits };
    if (takenUnits < quantity) rest[skuId] = { position, quantity: quantity - takenUnits };
  }
  return { taken, rest };
}
