import { describe, expect, test } from "vitest";
import { createCompactMap, shortHash } from "./compact-map.ts";

describe("a compact map", () => {
  test("keeps the last value of each text, however many there are", () => {
    const map = createCompactMap();
    for (let value = 0; value < 50_000; value += 1) map.set(`text ${value}`, value);
    for (let value = 0; value < 50_000; value += 2) map.set(`text ${value}`, value + 1);
    const wrong = Array.from({ length: 50_000 }, (_, value) => [map.get(`text ${value}`), value | 1]).filter(
      ([found, expected]) => found !== expected,
    );
    expect(wrong).toEqual([]);
    expect(map.get("another")).toBeUndefined();
    expect(map.hasForgotten).toBe(false);
  });

  test("with a bound keeps what was asked for last, and says that it has forgotten", () => {
    const map = createCompactMap(100);
    map.set("kept", 1);
    for (let value = 0; value < 1_000; value += 1) {
      map.set(`text ${value}`, value);
      expect(map.get("kept")).toBe(1);
    }
    expect(map.hasForgotten).toBe(true);
    expect(map.get("text 0")).toBeUndefined();
    for (let value = 901; value < 1_000; value += 1) expect(map.get(`text ${value}`)).toBe(value);
  });
});

test("short hashes of ids differ", () => {
  const hashes = Array.from({ length: 1_000 }, (_, index) => shortHash(`018f0000-0000-7000-8000-${index}`));
  expect(new Set(hashes).size).toBe(1_000);
});
