import { randomUUID } from "node:crypto";
import { describeOnKafka } from "@crowdcrunch/kit/testing/kafka";
import { createAuditedWorld } from "@crowdcrunch/tools/audit/testing/audited-world";
import type { AuditedWorld } from "@crowdcrunch/tools/audit/testing/audited-world";
import { logPlants } from "@crowdcrunch/tools/audit/testing/log-plants";
import { afterAll, beforeAll, expect, test } from "vitest";

// What is planted in the database alone is tried on the embedded log.
const plants = logPlants.filter(({ events, invariant }) => events !== undefined || invariant === 15);

describeOnKafka("the audit of a shop on Kafka reports, and reports nothing else:", (brokers) => {
  let world: AuditedWorld;
  beforeAll(async () => void (world = await createAuditedWorld()));
  afterAll(() => world?.drop());

  test.each(plants)("$what ($invariant)", async (plant) => {
    const env = { KAFKA_BROKERS: brokers.join(","), KAFKA_PREFIX: `audit-${randomUUID()}` };
    const { violated, lines } = await world.auditOf(plant, env);
    expect({ violated, lines }).toMatchObject({ violated: plant.invariant === undefined ? [] : [plant.invariant] });
  });
});
