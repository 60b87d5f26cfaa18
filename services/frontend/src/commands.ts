import type { Database } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireOwner } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { requireAddress } from "@crowdcrunch/kit/postal-address";
import type { PostalAddressInput } from "@crowdcrunch/kit/postal-address";
import type { Cart } from "./cart.ts";
import { mostLines, requireCouponCode, requireQuantity } from "./cart.ts";
import type { CartReads, CartTarget } from "./store.ts";
import { saveDetails, saveLine } from "./store.ts";

export interface SetCartLineInput {
  cartId?: string | null;
  skuId: string;
  quantity: number;
}

/** What is absent stays, null takes it away. */
export interface SetCartDetailsInput {
  cartId?: string | null;
  couponCode?: string | null;
  shipTo?: PostalAddressInput | null;
}

const uniqueViolation = "23505";

/** What shoppers do with their carts: one statement each. */
export function createCommands({ db, newId, reads }: { db: Database; newId: () => string; reads: CartReads }) {
  function targetOf(viewer: Viewer, cartId: string | null | undefined): CartTarget {
    // A cart belongs to no order, so whoever came by an order's link is refused.
    requireOwner(viewer, viewer.sub);
    return {
      newId: newId(),
      customerId: viewer.sub,
      guest: viewer.roles.includes("GUEST"),
      cartId: cartId == null ? null : requireUuid(cartId, "cartId"),
      mostLines,
    };
  }

  /** Why nothing was changed. */
  async function refuse({ customerId, cartId }: CartTarget): Promise<never> {
    const [cart] = cartId === null ? [await reads.openCartOf(customerId)] : await reads.cartsById([cartId]);
    if (!cart || cart.customerId !== customerId) throw notFound("There is no such cart.");
    if (cart.status !== "OPEN") throw notPossible(cart.status, "This cart was ordered; begin another.");
    throw invalid("skuId", "A cart has at most 1,000 lines.");
  }

  async function change(target: CartTarget, save: () => Promise<Cart | undefined>): Promise<Cart> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await save()) ?? (await refuse(target));
      } catch (error) {
        // The cart's id was taken at this moment: by the caller in another tab, who finds it now, or by somebody else.
        if ((error as { code?: string }).code !== uniqueViolation) throw error;
        if (attempt > 1) return refuse(target);
      }
    }
  }

  return {
    /** Sets a line of the viewer's cart. Throws InvalidInput, NotFound, NotPossible or Forbidden. */
    setCartLine(viewer: Viewer, input: SetCartLineInput): Promise<Cart> {
      const target = targetOf(viewer, input.cartId);
      const skuId = requireUuid(input.skuId, "skuId");
      requireQuantity(input.quantity);
      return change(target, () => saveLine(db, target, skuId, input.quantity));
    },

    /** Sets coupon and address of the viewer's cart. Throws InvalidInput, NotFound, NotPossible or Forbidden. */
    setCartDetails(viewer: Viewer, input: SetCartDetailsInput): Promise<Cart> {
      const target = targetOf(viewer, input.cartId);
      const { couponCode, shipTo } = input;
      const details = {
        ...(couponCode === undefined ? {} : { couponCode: requireCouponCode(couponCode) }),
        ...(shipTo === undefined ? {} : { shipTo: shipTo && requireAddress(shipTo, "shipTo") }),
      };
      return change(target, () => saveDetails(db, target, details));
    },
  };
}

export type Commands = ReturnType<typeof createCommands>;
