import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PricedSku } from "./pricing.ts";
import { price, splitByLargestRemainder } from "./pricing.ts";

const sku = (skuId: string, minor: number, taxClass = "standard", digital = false): PricedSku => ({
  skuId,
  productId: "p",
  name: skuId,
  digital,
  taxClass,
  priceVersion: 1,
  onSale: true,
  prices: { GBP: minor },
});
const rates = new Map([["standard", 2000]]);
const standard = { code: "standard", name: "Standard", currency: "GBP", priceMinor: 395, freeAboveMinor: 5000 };

describe("prices", () => {
  test("include tax, which is shown apart", () => {
    const { totals, lines } = price({
      lines: [{ skuId: "a", quantity: 3 }],
      skus: new Map([["a", sku("a", 1200)]]),
      currency: "GBP",
      taxRates: rates,
      shipping: standard,
      coupon: null,
    });
    expect(lines[0]).toMatchObject({ paidMinor: 3600, taxMinor: 600 });
    expect(totals).toEqual({ itemsMinor: 3000, taxMinor: 600, shippingMinor: 395, discountMinor: 0, totalMinor: 3995 });
  });

  test("are free of shipping from the limit on, and for downloads", () => {
    const shippingOf = (minor: number, digital = false) =>
      price({
        lines: [{ skuId: "a", quantity: 1 }],
        skus: new Map([["a", sku("a", minor, "zero", digital)]]),
        currency: "GBP",
        taxRates: rates,
        shipping: standard,
        coupon: null,
      }).totals.shippingMinor;
    expect([shippingOf(4999), shippingOf(5000), shippingOf(100, true)]).toEqual([395, 0, 0]);
  });

  test("add up, whatever is bought and taken off", () => {
    const line = fc.record({
      minor: fc.integer({ min: 0, max: 1_000_000 }),
      quantity: fc.integer({ min: 1, max: 100_000 }),
      taxed: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 30 }),
        fc.option(fc.integer({ min: 1, max: 100 })),
        (wanted, percent) => {
          const skus = new Map(
            wanted.map(({ minor, taxed }, index) => [
              String(index),
              sku(String(index), minor, taxed ? "standard" : "zero"),
            ]),
          );
          const coupon = percent === null ? null : { code: "C", percent, amountMinor: null, currency: null };
          const { totals, lines } = price({
            lines: wanted.map(({ quantity }, index) => ({ skuId: String(index), quantity })),
            skus,
            currency: "GBP",
            taxRates: rates,
            shipping: standard,
            coupon,
          });
          expect(totals.totalMinor).toBe(
            totals.itemsMinor + totals.taxMinor + totals.shippingMinor - totals.discountMinor,
          );
          expect(lines.reduce((sum, { paidMinor }) => sum + paidMinor, 0)).toBe(
            totals.totalMinor - totals.shippingMinor,
          );
          expect(lines.reduce((sum, { discountMinor }) => sum + discountMinor, 0)).toBe(totals.discountMinor);
          for (const { paidMinor, unitMinor, quantity, taxMinor } of lines) {
            expect(paidMinor).toBeGreaterThanOrEqual(0);
            expect(paidMinor).toBeLessThanOrEqual(unitMinor * quantity);
            expect(taxMinor).toBeLessThanOrEqual(paidMinor);
          }
        },
      ),
    );
  });
});

test("a sum is split without a remainder, each part within one of its share", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 50 }),
      (amount, weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const parts = splitByLargestRemainder(amount, weights);
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(total === 0 ? 0 : amount);
        if (total > 0)
          for (const [index, part] of parts.entries())
            expect(Math.abs(part - (amount * weights[index]!) / total)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
