import fc from "fast-check";
import { expect, test } from "vitest";
import { correct, typos, wordsOf } from "./search.ts";
import { availableUnits, consume, release, reserve, stockOf } from "./stock.ts";
import type { Reservation } from "./stock.ts";

test("whatever is ordered, sent and cancelled: never oversold, all or none, and what is reserved is what is held", () => {
  const stockRow = fc.record({
    skuId: fc.constantFrom("a", "b", "c"),
    locationId: fc.constantFrom("x", "y"),
    onHand: fc.integer({ min: 0, max: 20 }),
  });
  const line = fc.record({
    skuId: fc.constantFrom("a", "b", "c"),
    quantity: fc.integer({ min: 1, max: 12 }),
    digital: fc.boolean(),
  });
  const step = fc.record({
    lines: fc.array(line, { minLength: 1, maxLength: 4 }),
    ending: fc.constantFrom("hold", "send", "cancel", "part"),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(stockRow, { selector: (row) => row.skuId + row.locationId }),
      fc.array(step, { maxLength: 20 }),
      (rows, steps) => {
        const stock = stockOf(rows.map((row) => ({ ...row, reserved: 0 })));
        const held: Reservation[] = [];
        let sent = 0;
        const opening = rows.reduce((sum, { onHand }) => sum + onHand, 0);
        for (const [number, { lines, ending }] of steps.entries()) {
          const wanted = lines.map((each, index) => ({ ...each, lineId: `${number}-${index}` }));
          const before = ["a", "b", "c"].map((sku) => availableUnits(stock, sku));
          const outcome = reserve(stock, String(number), wanted);
          if ("short" in outcome) {
            expect(outcome.short.length).toBeGreaterThan(0);
            expect(["a", "b", "c"].map((sku) => availableUnits(stock, sku))).toEqual(before);
            continue;
          }
          held.push(...outcome.reservations);
          for (const each of wanted.filter(({ digital }) => !digital)) {
            const units = ending === "part" ? Math.ceil(each.quantity / 2) : each.quantity;
            if (ending === "send" || ending === "part")
              sent -= consume(stock, held, { lineId: each.lineId, quantity: units }, "p").reduce(
                (sum, { quantity }) => sum + quantity,
                0,
              );
            if (ending === "cancel" || ending === "part")
              expect(release(stock, held, each.lineId, each.quantity)).toBe(
                ending === "part" ? each.quantity - units : each.quantity,
              );
          }
        }
        for (const row of [...stock.values()].flat()) {
          const active = held
            .filter(({ skuId, locationId }) => skuId === row.skuId && locationId === row.locationId)
            .reduce((sum, each) => sum + each.quantity - each.consumed - each.released, 0);
          expect(row.reserved).toBe(active);
          expect(row.reserved).toBeLessThanOrEqual(row.onHand);
          expect(row.reserved).toBeGreaterThanOrEqual(0);
        }
        expect([...stock.values()].flat().reduce((sum, { onHand }) => sum + onHand, 0)).toBe(opening - sent);
      },
    ),
    { numRuns: 2_000 },
  );
});

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
