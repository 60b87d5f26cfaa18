import { expect, test } from "vitest";
import { median, memoryGrowth, percentile, ratio, sideBySide, soakWindows } from "./figures.ts";

test("medians and percentiles are of the sorted values, and nothing where there are none", () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect([median([3, 1, 2]), percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([
    2, 51, 100, 100,
  ]);
  expect(median([])).toBeNaN();
  expect(values[0]).toBe(100);
});

test("a ratio has two digits, and none without both values", () => {
  expect([ratio(70, 100), ratio(1, 3), ratio(1, 0), ratio(Number.NaN, 2)]).toEqual(["0.70", "0.33", "–", "–"]);
});

test("two logs stand side by side with what the second is of the first", () => {
  const pace = (purchasesPerS: number, p50: number, p99: number) => ({
    purchasesPerS,
    placeToConfirmedP50Ms: p50,
    placeToConfirmedP99Ms: p99,
  });
  const embedded = { 1: pace(10, 80, 100), 8: pace(60, 100, 200) };
  expect(sideBySide(["embedded", "Kafka"], embedded, { 8: pace(45, 150, 300), 32: pace(1, 1, 1) })).toEqual([
    {
      shoppers: 8,
      "embedded purchases/s": "60.0",
      "Kafka purchases/s": "45.0",
      "Kafka/embedded": "0.75",
      "embedded p50 ms": "100",
      "Kafka p50 ms": "150",
      "p50 Kafka/embedded": "1.50",
      "embedded p99 ms": "200",
      "Kafka p99 ms": "300",
      "p99 Kafka/embedded": "1.50",
    },
  ]);
});

test("a soak compares its minutes 3 to 5 with its last 5, a short one the same parts of itself", () => {
  expect(soakWindows(15)).toEqual({ early: [3, 5], late: [10, 15] });
  expect(soakWindows(60)).toEqual({ early: [3, 5], late: [55, 60] });
  const { early, late } = soakWindows(1.5);
  expect(early.map((minute) => minute.toFixed(2))).toEqual(["0.30", "0.50"]);
  expect(late.map((minute) => minute.toFixed(2))).toEqual(["1.00", "1.50"]);
});

test("memory grows by the mean of the last part over the mean of the early part", () => {
  const samples = [1, 3, 4, 5, 9, 10, 12, 15].map((atMinutes) => ({
    atMinutes,
    memoryMiB: { orders: 100, gateway: atMinutes < 9 ? 100 + atMinutes : 200 + atMinutes },
  }));
  expect(memoryGrowth(samples, 15)).toEqual([
    { process: "orders", earlyMiB: 100, lateMiB: 100, ratio: 1 },
    { process: "gateway", earlyMiB: 104, lateMiB: expect.closeTo(212.33, 2), ratio: expect.closeTo(2.042, 3) },
  ]);
});
