import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAuditedWorld } from "./testing/audited-world.ts";
import type { AuditedWorld } from "./testing/audited-world.ts";
import { logPlants } from "./testing/log-plants.ts";

let world: AuditedWorld;
beforeAll(async () => void (world = await createAuditedWorld()));
afterAll(() => world?.drop());

describe("the audit of a shop on the embedded log reports, and reports nothing else:", () => {
  test.each(logPlants)("$what ($invariant)", async (plant) => {
    const { violated, lines } = await world.auditOf(plant, {});
    expect({ violated, lines }).toMatchObject({ violated: plant.invariant === undefined ? [] : [plant.invariant] });
  });
});
