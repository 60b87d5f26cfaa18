/** Ways to have a Kafka on this machine, for tests and for `make up KAFKA=1`. */
import { spawnSync } from "node:child_process";
import { kafkaProgramMissing } from "./program.ts";

/** A Kafka that runs already, a container, or Kafka's own jars. */
export type KafkaWay = { brokers: string[] } | "docker" | "jars";

/** The way in which tests get a Kafka here, or the sentence that says why there is none. Starts nothing. */
export function kafkaWay(environment: NodeJS.ProcessEnv = process.env): { way: KafkaWay } | { missing: string } {
  const brokers = brokersOf(environment);
  if (brokers.length > 0) return { way: { brokers } };
  if (dockerAnswers(environment)) return { way: "docker" };
  const missing = kafkaProgramMissing(environment);
  if (missing === undefined) return { way: "jars" };
  return { missing: `there is no Kafka: KAFKA_BROKERS is not set, no Docker daemon answers, and ${missing}` };
}

/** The addresses in KAFKA_BROKERS, a list with commas; none where it is not set. */
export function brokersOf(environment: NodeJS.ProcessEnv): string[] {
  return (environment.KAFKA_BROKERS ?? "")
    .split(",")
    .map((address) => address.trim())
    .filter(Boolean);
}

/** True where a daemon answers: a client alone starts nothing. */
function dockerAnswers(environment: NodeJS.ProcessEnv): boolean {
  const asked = ["version", "--format", "{{.Server.Version}}"];
  return spawnSync("docker", asked, { env: environment, stdio: "ignore", timeout: 5_000 }).status === 0;
}
