import { expect, test } from "vitest";
import { faults } from "./list.ts";
import { allScenarios } from "./scenarios.ts";

test("every fault of the list has one scenario", async () => {
  const scenarios = await allScenarios();
  expect(scenarios.map(({ number, fault }) => `${number} ${fault}`)).toEqual(
    faults.map((fault, index) => `${index + 1} ${fault}`),
  );
});

test("every scenario says what it believes and expects, under a name of its own", async () => {
  const scenarios = await allScenarios();
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length);
  for (const { hypothesis, expectation } of scenarios) {
    expect(hypothesis).toMatch(/^.{20,}\.$/);
    expect(expectation.length).toBeGreaterThan(5);
  }
});
