import type {} from "@crowdcrunch/kit/testing/kafka";
import { kafkaWay } from "@crowdcrunch/tools/kafka/availability";
import type { TestProject } from "vitest/node";
import { kafkaForTests } from "./kafka.ts";

/** Starts the one Kafka of a test run. Where none is possible it says so, and tests on Kafka skip themselves. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const found = kafkaWay();
  if ("missing" in found) {
    if ((process.env["REQUIRE"] ?? "").includes("kafka")) throw new Error(`Kafka is required, and ${found.missing}.`);
    console.warn(`Tests on Kafka are skipped: ${found.missing}.`);
    project.provide("kafka", { brokers: [], missing: found.missing });
    return async () => {};
  }
  const kafka = await kafkaForTests();
  project.provide("kafka", { brokers: kafka.brokers });
  return () => kafka.stop();
}
