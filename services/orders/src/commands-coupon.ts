import type { Database } from "@crowdcrunch/kit/database";
import { invalid, problem } from "@crowdcrunch/kit/errors";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { NewCoupon } from "./store-catalogue.ts";
import { addCoupon } from "./store-catalogue.ts";

export interface CreateCouponInput {
  code: string;
  percent?: number | null;
  amountMinor?: number | null;
  currency?: string | null;
  startsAt?: Date | string | null;
  endsAt?: Date | string | null;
  usesAtMost?: number | null;
}

/** Staff make coupons; shoppers use them in carts and orders. */
export function createCoupons(db: Database) {
  return {
    /** Throws CouponExists, or InvalidInput. */
    async createCoupon(viewer: Viewer, input: CreateCouponInput): Promise<NewCoupon> {
      const coupon: NewCoupon = {
        code: input.code.toUpperCase(),
        percent: input.percent ?? null,
        amountMinor: input.amountMinor ?? null,
        currency: input.currency ?? null,
        startsAt: input.startsAt ? new Date(input.startsAt) : null,
        endsAt: input.endsAt ? new Date(input.endsAt) : null,
        usesAtMost: input.usesAtMost ?? null,
        createdBy: viewer.sub,
      };
      requireCoupon(coupon);
      if (!(await addCoupon(db, coupon))) throw problem("CouponExists", "There is a coupon of this code already.");
      return coupon;
    },
  };
}

export type CouponCommands = ReturnType<typeof createCoupons>;

function requireCoupon(coupon: NewCoupon): void {
  if (!/^[A-Z0-9-]{3,40}$/.test(coupon.code)) throw invalid("code", "A code has 3 to 40 letters, digits and dashes.");
  if ((coupon.percent === null) === (coupon.amountMinor === null))
    throw invalid("percent", "Give either percent or amountMinor.");
  if (coupon.percent !== null && (coupon.percent < 1 || coupon.percent > 100))
    throw invalid("percent", "Per cent are 1 to 100.");
  if (coupon.amountMinor !== null && coupon.amountMinor < 1)
    throw invalid("amountMinor", "The sum is one minor unit or more.");
  if ((coupon.amountMinor === null) !== (coupon.currency === null))
    throw invalid("currency", "A sum has a currency, per cent have none.");
  if (coupon.usesAtMost !== null && coupon.usesAtMost < 1)
    throw invalid("usesAtMost", "A coupon can be used once or more.");
  if (coupon.startsAt && coupon.endsAt && coupon.endsAt <= coupon.startsAt)
    throw invalid("endsAt", "A coupon ends after it starts.");
}
