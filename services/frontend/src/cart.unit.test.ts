import { describe, expect, it } from "vitest";
import { Problem } from "@crowdcrunch/kit/errors";
import { emptyCart, linesInOrder, mayClose, requireCouponCode, requireQuantity, splitByOrder } from "./cart.ts";
import type { Lines } from "./cart.ts";

const [a, b, c] = ["a", "b", "c"] as const;
const lines: Lines = { [b]: { position: 9, quantity: 1 }, [a]: { position: 2, quantity: 5 } };

function fieldOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error instanceof Problem ? error.fields["field"] : error;
  }
  return undefined;
}

describe("a cart", () => {
  it("lists its lines in the order in which they were put into it", () => {
    expect(linesInOrder(lines)).toEqual([
      { skuId: a, quantity: 5 },
      { skuId: b, quantity: 1 },
    ]);
  });

  it.each([-1, 0.5, 100_001, Number.NaN, Number.MAX_SAFE_INTEGER])("refuses %d units", (quantity) => {
    expect(fieldOf(() => requireQuantity(quantity))).toBe("quantity");
  });

  it.each([0, 1, 100_000])("takes %d units", (quantity) => {
    expect(fieldOf(() => requireQuantity(quantity))).toBeUndefined();
  });

  it("keeps coupon codes as coupons do", () => {
    expect(requireCouponCode(" spring-26 ")).toBe("SPRING-26");
    expect(requireCouponCode("")).toBeNull();
    expect(requireCouponCode(null)).toBeNull();
    const bad = ["AB", "A".repeat(41), "DROP TABLE", "ÄÖÜ"];
    expect(bad.map((code) => fieldOf(() => requireCouponCode(code)))).toEqual(bad.map(() => "couponCode"));
  });

  it("is closed by its owner's order, and by that of the guest who owned it", () => {
    const cart = { ...emptyCart("cart", "ada"), claimedFrom: "guest" };
    expect(mayClose(cart, "ada")).toBe(true);
    expect(mayClose(cart, "guest")).toBe(true);
    expect(mayClose(cart, "mallory")).toBe(false);
  });

  it("gives an order its units and keeps the rest", () => {
    const ordered = [
      { skuId: a, quantity: 2 },
      { skuId: a, quantity: 1 },
      { skuId: c, quantity: 4 },
    ];
    expect(splitByOrder(lines, ordered)).toEqual({
      taken: { [a]: { position: 2, quantity: 3 } },
      rest: { [a]: { position: 2, quantity: 2 }, [b]: { position: 9, quantity: 1 } },
    });
    expect(
      splitByOrder(lines, [
        { skuId: a, quantity: 9 },
        { skuId: b, quantity: 1 },
      ]),
    ).toEqual({ taken: lines, rest: {} });
    expect(splitByOrder(lines, []).taken).toEqual({});
  });
});
