import { invalid, problem } from "@crowdcrunch/kit/errors";
import type { OrderTotals } from "@crowdcrunch/events/order-lines";

/** A SKU as the read model of the catalogue knows it. */
export interface PricedSku {
  skuId: string;
  productId: string;
  name: string;
  digital: boolean;
  taxClass: string;
  priceVersion: number;
  onSale: boolean;
  /** Minor units by currency. */
  prices: Record<string, number>;
}

export interface WantedLine {
  skuId: string;
  quantity: number;
  /** The price that staff agreed, in place of the catalogue's. */
  agreedUnitMinor?: number | undefined;
}

export interface ShippingMethod {
  code: string;
  name: string;
  currency: string;
  priceMinor: number;
  freeAboveMinor: number | null;
}

export interface Coupon {
  code: string;
  percent: number | null;
  amountMinor: number | null;
  currency: string | null;
}

export interface PricedLine extends WantedLine {
  productId: string;
  name: string;
  digital: boolean;
  priceVersion: number;
  agreed: boolean;
  unitMinor: number;
  taxMinor: number;
  discountMinor: number;
  paidMinor: number;
}

export interface Price {
  lines: PricedLine[];
  totals: OrderTotals;
}

export interface PricingInput {
  lines: WantedLine[];
  skus: Map<string, PricedSku>;
  currency: string;
  /** Basis points by tax class; a class that is not listed is free of tax. */
  taxRates: Map<string, number>;
  shipping: ShippingMethod | null;
  coupon: Coupon | null;
}

/** A sum that is still exact. Throws InvalidInput beyond the safe integers. */
function exact(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalid("lines", "The order's total is more than can be counted exactly.");
  return Number(value);
}

/** Splits `amount` in proportion to `weights` by largest remainder: the parts add up to exactly the amount. */
export function splitByLargestRemainder(amount: number, weights: number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + BigInt(weight), 0n);
  if (total === 0n) return weights.map(() => 0);
  const parts = weights.map((weight, index) => {
    const product = BigInt(amount) * BigInt(weight);
    return { index, share: product / total, remainder: product % total };
  });
  let missing = amount - Number(parts.reduce((sum, part) => sum + part.share, 0n));
  const byRemainder = [...parts].sort((a, b) =>
    b.remainder > a.remainder ? 1 : b.remainder < a.remainder ? -1 : a.index - b.index,
  );
  const shares = parts.map((part) => Number(part.share));
  for (const part of byRemainder) {
    if (missing === 0) break;
    shares[part.index] = (shares[part.index] ?? 0) + 1;
    missing -= 1;
  }
  return shares;
}

/** The tax that a price includes at a rate in basis points, rounded half up. */
function includedTax(paidMinor: number, basisPoints: number): number {
  const numerator = BigInt(paidMinor) * BigInt(basisPoints);
  const denominator = 10_000n + BigInt(basisPoints);
  return Number((2n * numerator + denominator) / (2n * denominator));
}

/**
 * Prices an order: catalogue or agreed prices, the coupon over the lines by largest remainder, tax as included in what
 * is paid, shipping by method with its free limit. Throws UnknownSku or InvalidInput; nothing is rounded twice.
 */
export function price(input: PricingInput): Price {
  const { currency, coupon } = input;
  const priced = input.lines.map((wanted, index) => {
    const sku = input.skus.get(wanted.skuId);
    if (!sku || !sku.onSale)
      throw problem("UnknownSku", "One of the articles is not sold here, or no longer.", { skuId: wanted.skuId });
    const unitMinor = wanted.agreedUnitMinor ?? sku.prices[currency];
    if (unitMinor === undefined) throw invalid(`lines[${index}].skuId`, `${sku.name} has no price in ${currency}.`);
    return { wanted, sku, unitMinor, grossMinor: exact(BigInt(unitMinor) * BigInt(wanted.quantity)) };
  });
  const goodsMinor = exact(priced.reduce((sum, line) => sum + BigInt(line.grossMinor), 0n));
  const discountMinor = coupon ? couponValue(coupon, goodsMinor, currency) : 0;
  const discounts = splitByLargestRemainder(
    discountMinor,
    priced.map((line) => line.grossMinor),
  );
  const lines = priced.map(({ wanted, sku, unitMinor, grossMinor }, index): PricedLine => {
    const lineDiscount = discounts[index] ?? 0;
    const paidMinor = grossMinor - lineDiscount;
    const rate = wanted.agreedUnitMinor === undefined ? (input.taxRates.get(sku.taxClass) ?? 0) : 0;
    return {
      ...wanted,
      productId: sku.productId,
      name: sku.name,
      digital: sku.digital,
      priceVersion: sku.priceVersion,
      agreed: wanted.agreedUnitMinor !== undefined,
      unitMinor,
      taxMinor: includedTax(paidMinor, rate),
      discountMinor: lineDiscount,
      paidMinor,
    };
  });
  const taxMinor = exact(lines.reduce((sum, line) => sum + BigInt(line.taxMinor), 0n));
  const shippingMinor = shippingPrice(
    input.shipping,
    goodsMinor - discountMinor,
    lines.some((line) => !line.digital),
  );
  const totalMinor = exact(BigInt(goodsMinor) - BigInt(discountMinor) + BigInt(shippingMinor));
  return { lines, totals: { itemsMinor: goodsMinor - taxMinor, taxMinor, shippingMinor, discountMinor, totalMinor } };
}

function couponValue(coupon: Coupon, goodsMinor: number, currency: string): number {
  if (coupon.percent !== null) return Number((BigInt(goodsMinor) * BigInt(coupon.percent)) / 100n);
  if (coupon.currency !== currency)
    throw problem("CouponRejected", `This coupon is for orders in ${coupon.currency}.`, { reason: "OTHER_CURRENCY" });
  return Math.min(coupon.amountMinor ?? 0, goodsMinor);
}

function shippingPrice(method: ShippingMethod | null, goodsMinor: number, physical: boolean): number {
  if (!method || !physical) return 0;
  return method.freeAboveMinor !== null && goodsMinor >= method.freeAboveMinor ? 0 : method.priceMinor;
}
