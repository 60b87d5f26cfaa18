import type { Database } from "@crowdcrunch/kit/database";
import { Problem, invalid, problem, retryable } from "@crowdcrunch/kit/errors";
import type { Coupon, Price, PricedSku, ShippingMethod, WantedLine } from "./pricing.ts";
import { price } from "./pricing.ts";
import type { LineInput } from "./placing.ts";
import { findCoupon, findShippingMethods, findSkus, findTaxRates } from "./store-catalogue.ts";

/** A price as the graph shows it, with what stands in the way of the order. */
export interface Quote {
  currency: string;
  price: Price;
  shippingMethod: string | null;
  unavailable: string[];
  couponProblem: string | null;
}

export interface QuoteDemand {
  lines: LineInput[];
  currency: string;
  couponCode: string | null;
  countryCode: string | null;
  /** A method's code; "none" for orders that nobody ships or pays the shipping of; null for the cheapest. */
  shippingMethod: string | null;
}

/** The method under which nothing is shipped, or shipped free by agreement with staff. */
export const noShipping = "none";

const catalogueWaitMs = 500;
const catalogueLookMs = 50;
const tablesFreshMs = 30_000;

/** Prices carts and orders from the read model of the catalogue and the tables of taxes, shipping and coupons. */
export function createQuotes(db: Database) {
  // Taxes and shipping change with a migration: what was read half a minute ago is good enough for a price.
  const tables = new Map<string, { value: Promise<unknown>; readMs: number }>();
  function remembered<Value>(key: string, read: () => Promise<Value>): Promise<Value> {
    const known = tables.get(key);
    if (known && performance.now() - known.readMs < tablesFreshMs) return known.value as Promise<Value>;
    const value = read();
    tables.set(key, { value, readMs: performance.now() });
    value.catch(() => tables.delete(key));
    return value;
  }

  async function tax(countryCode: string | null): Promise<Map<string, number>> {
    const country = /^[A-Z]{2}$/.test(countryCode ?? "") ? (countryCode as string) : "GB";
    return remembered(`tax ${country}`, () => findTaxRates(db, country));
  }

  async function shipping(currency: string, code: string | null): Promise<ShippingMethod | null> {
    if (code === noShipping) return null;
    const methods = await remembered(`shipping ${currency}`, () => findShippingMethods(db, currency));
    const method = code === null ? methods[0] : methods.find((candidate) => candidate.code === code);
    if (!method && code !== null)
      throw invalid("shippingMethod", `There is no shipping method "${code}" in ${currency}; see shippingMethods.`);
    return method ?? null;
  }

  async function coupon(code: string | null): Promise<{ coupon: Coupon | null; couponProblem: string | null }> {
    if (!code) return { coupon: null, couponProblem: null };
    const found = await findCoupon(db, code);
    if (!found) return { coupon: null, couponProblem: "UNKNOWN" };
    return found.state === "VALID"
      ? { coupon: found, couponProblem: null }
      : { coupon: null, couponProblem: found.state };
  }

  return {
    shippingMethods: (currency: string) => findShippingMethods(db, currency),

    /** What a cart would cost: articles that cannot be bought and coupons that do not count are named, not refused. */
    async quote(demand: QuoteDemand): Promise<Quote> {
      const skus = await findSkus(
        db,
        demand.lines.map(({ skuId }) => skuId),
      );
      const sold = (sku: PricedSku | undefined) => sku?.onSale && sku.prices[demand.currency] !== undefined;
      const lines = demand.lines.filter(({ skuId }) => sold(skus.get(skuId)));
      const unavailable = demand.lines.filter(({ skuId }) => !sold(skus.get(skuId))).map(({ skuId }) => skuId);
      const method = await shipping(demand.currency, demand.shippingMethod);
      const { coupon: found, couponProblem } = await coupon(demand.couponCode);
      const input = {
        lines: lines.map(wanted),
        skus,
        currency: demand.currency,
        taxRates: await tax(demand.countryCode),
        shipping: method,
      };
      try {
        return {
          currency: demand.currency,
          price: price({ ...input, coupon: found }),
          shippingMethod: method?.code ?? null,
          unavailable,
          couponProblem,
        };
      } catch (error) {
        if (!(error instanceof Problem) || error.typename !== "CouponRejected") throw error;
        return {
          currency: demand.currency,
          price: price({ ...input, coupon: null }),
          shippingMethod: method?.code ?? null,
          unavailable,
          couponProblem: String(error.fields["reason"]),
        };
      }
    },

    /**
     * What an order costs. Waits up to half a second for a catalogue that is older than what the shopper saw. Throws
     * UnknownSku, CouponRejected, InvalidInput, PriceChanged, or CATALOGUE_BEHIND, which is worth another try.
     */
    async priceOrder(
      demand: QuoteDemand,
      expectedTotalMinor: number | null,
    ): Promise<{ price: Price; coupon: Coupon | null }> {
      const skus = await freshSkus(demand.lines);
      const { coupon: found, couponProblem } = await coupon(demand.couponCode);
      if (couponProblem) throw problem("CouponRejected", "This coupon does not count.", { reason: couponProblem });
      const method = await shipping(demand.currency, demand.shippingMethod);
      const priced = price({
        lines: demand.lines.map(wanted),
        skus,
        currency: demand.currency,
        taxRates: await tax(demand.countryCode),
        shipping: method,
        coupon: found,
      });
      const older = demand.lines.some(
        (line) =>
          line.priceVersion != null &&
          line.agreedUnitMinor == null &&
          line.priceVersion < (skus.get(line.skuId)?.priceVersion ?? 0),
      );
      if (older || (expectedTotalMinor !== null && expectedTotalMinor !== priced.totals.totalMinor)) {
        const quote: Quote = {
          currency: demand.currency,
          price: priced,
          shippingMethod: method?.code ?? null,
          unavailable: [],
          couponProblem: null,
        };
        throw problem("PriceChanged", "The price has changed meanwhile; please look again.", { quote });
      }
      return { price: priced, coupon: found };
    },
  };

  async function freshSkus(lines: LineInput[]): Promise<Map<string, PricedSku>> {
    const ids = [...new Set(lines.map(({ skuId }) => skuId))];
    for (let waitedMs = 0; ; waitedMs += catalogueLookMs) {
      const skus = await findSkus(db, ids);
      const behind = lines.some(
        (line) => line.priceVersion != null && line.priceVersion > (skus.get(line.skuId)?.priceVersion ?? 0),
      );
      if (!behind) return skus;
      if (waitedMs >= catalogueWaitMs)
        throw retryable("CATALOGUE_BEHIND", "A price has just changed and is not known here yet; try again.", 500);
      await new Promise((resolve) => setTimeout(resolve, catalogueLookMs));
    }
  }
}

export type Quotes = ReturnType<typeof createQuotes>;

function wanted(line: LineInput): WantedLine {
  return {
    skuId: line.skuId,
    quantity: line.quantity,
    ...(line.agreedUnitMinor == null ? {} : { agreedUnitMinor: line.agreedUnitMinor }),
  };
}
