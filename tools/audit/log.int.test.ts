import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuditedWorld } from "./testing/audited-world.ts";
import type { AuditedWorld } from "./testing/audited-world.ts";
import { logPlants } from "./testing/log-plants.ts";
import type { LogPlant } from "./testing/log-plants.ts";

let world: AuditedWorld;
beforeAll(async () => void (world = await createAuditedWorld()));
afterAll(() => world?.drop());

describe("the audit of a shop on the embedded log reports, and reports nothing else:", () => {
  test.each(logPlants)("$what ($invariant)", async (plant) => {
    const { violated, lines } = await world.auditOf(plant, {});
    expect({ violated, lines }).toMatchObject({ violated: plant.invariant === undefined ? [] : [plant.invariant] });
  });
});

describe("a log that is younger than the shop", () => {
  const anew = { LOG_BEGAN_ANEW: "true" };
  const nothing: LogPlant = { what: "no event at all", events: () => [] };

  test("lacks all that was told before", async () => {
    expect((await world.auditOf(nothing, {})).violated).toEqual([17]);
  });

  test("is asked for none of it once that is said", async () => {
    expect((await world.auditOf(nothing, anew)).violated).toEqual([]);
    const later: LogPlant = { what: "the later half", events: (all) => all.filter(({ sequence }) => sequence > 4) };
    expect((await world.auditOf(later, anew)).violated).toEqual([]);
  });

  test("is asked for all that comes after it began", async () => {
    const gap: LogPlant = {
      what: "a gap",
      events: (all) => all.filter(({ sequence }) => sequence > 4 && sequence !== 6),
    };
    expect((await world.auditOf(gap, anew)).violated).toEqual([17]);
  });
});
