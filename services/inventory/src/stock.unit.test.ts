import { expect, test } from "vitest";
import { correct, typos, wordsOf } from "./search.ts";
import { reserve, stockOf } from "./stock.ts";

test("one location sends the whole line where it can", () => {
  const stock = stockOf([
    { skuId: "a", locationId: "x", onHand: 3, reserved: 0 },
    { skuId: "a", locationId: "y", onHand: 5, reserved: 0 },
  ]);
  const outcome = reserve(stock, "o", [{ lineId: "l", skuId: "a", quantity: 4, digital: false }]);
  expect(
    "reservations" in outcome && outcome.reservations.map(({ locationId, quantity }) => [locationId, quantity]),
  ).toEqual([["y", 4]]);
});

test("typing errors are counted: wrong, missing, extra and swapped letters", () => {
  expect([
    typos("candle", "cnadle", 2),
    typos("candle", "cande", 2),
    typos("candle", "candlle", 2),
    typos("candle", "vandle", 2),
    typos("candle", "mug", 2),
  ]).toEqual([1, 1, 1, 1, 3]);
  const vocabulary = [
    { word: "candle", products: 3 },
    { word: "handle", products: 9 },
    { word: "mugs", products: 1 },
  ];
  expect(correct("cnadle", vocabulary)).toBe("candle");
  expect(correct("xyz", vocabulary)).toBeUndefined();
  expect(wordsOf("Children's T-Shirt, Größe 40 cm")).toEqual(["childrens", "t", "shirt", "größe", "40", "cm"]);
});
