import { faultyProcesses } from "@crowdcrunch/tools/fault-control";
import { afterAll, beforeAll, describe } from "vitest";
import { stopAudited } from "./audited.ts";
import { crashTests } from "./crashes.ts";
import { faultTests } from "./faults.ts";
import { journeyTests } from "./journeys.ts";
import { keyTests } from "./keys.ts";
import { liveTests } from "./live.ts";
import { readmeTests } from "./readme.ts";
import { openShop } from "./whole-shop.ts";
import type { WholeShop } from "./whole-shop.ts";

// One shop on the embedded log for all of them, for it takes longer to start than most of them take. Who needs it new is
// first, who breaks it comes late; and at the end its books must agree.

let world: WholeShop;
beforeAll(async () => {
  // Inert until somebody sets a fault.
  const env = Object.fromEntries(faultyProcesses.map((name) => [name, { FAULT_INJECTION: "true" }]));
  world = await openShop({ portOffset: 21_000, env });
});
afterAll(() => stopAudited(world), 60_000);

describe("the README in a new shop:", () => {
  readmeTests(() => world);
});
describe("listeners of a shop on the embedded log:", () => {
  liveTests(() => world);
});
describe("a shop whose parcels are fetched after four seconds:", () => {
  journeyTests(() => world);
});
describe("a shop with faults:", () => {
  faultTests(() => world);
});
describe("killed without warning, with twenty purchases under way:", () => {
  crashTests(() => world);
});
describe("a shop whose keys rotate:", () => {
  keyTests(() => world);
});
