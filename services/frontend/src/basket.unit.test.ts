import { describe, expect, it } from "vitest";
import { mostProducts, pairsOf, recommendable } from "./basket.ts";

describe("what is bought together", () => {
  it("pairs every product with every other, both ways", () => {
    expect(pairsOf({ customerId: "ada", productIds: ["x", "y", "x"] })).toEqual([
      { customerId: "ada", productId: "x", otherId: "y" },
      { customerId: "ada", productId: "y", otherId: "x" },
    ]);
    expect(pairsOf({ customerId: "ada", productIds: ["x"] })).toEqual([]);
  });

  it("is bounded for an order of a thousand products", () => {
    const productIds = Array.from({ length: 1_000 }, (_, index) => String(index));
    expect(pairsOf({ customerId: "ada", productIds })).toHaveLength(mostProducts * (mostProducts - 1));
  });

  it("is not shown to who declined, nor what was bought already to who agreed", () => {
    expect(recommendable(["x", "y", "z"], undefined, 2)).toEqual(["x", "y"]);
    expect(recommendable(["x", "y", "z"], { declined: false, bought: ["x"] }, 2)).toEqual(["y", "z"]);
    expect(recommendable(["x", "y", "z"], { declined: true, bought: [] }, 2)).toEqual([]);
  });
});
