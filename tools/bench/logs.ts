/** Which event logs a benchmark measures. */
import { Problem } from "../environment.ts";
import { readyKafka } from "../kafka/broker.ts";
import { chosenKafka } from "../kafka/shop-kafka.ts";
import type { KafkaChoice } from "../kafka/shop-kafka.ts";

export interface MeasuredLog {
  name: "embedded" | "Kafka";
  kafka: KafkaChoice;
}

const embedded: MeasuredLog = { name: "embedded", kafka: false };

/**
 * LOGS=embedded, kafka or both; where it is not given, Kafka alone with KAFKA=1, else as `byDefault` says. A Kafka outside is that of
 * KAFKA_BROKERS, under a prefix of this run's own. Where both are wanted and Kafka cannot be had, it says so and leaves
 * the embedded log; Kafka alone is then a Problem.
 */
export async function chosenLogs(
  environment: NodeJS.ProcessEnv = process.env,
  byDefault: "embedded" | "both" = "both",
  say: (sentence: string) => void = console.log,
): Promise<MeasuredLog[]> {
  const chosen = environment.LOGS || (environment.KAFKA && environment.KAFKA !== "0" ? "kafka" : byDefault);
  if (!["embedded", "kafka", "both"].includes(chosen))
    throw new Problem(`LOGS is "${chosen}"; it must be embedded, kafka or both.`);
  if (chosen === "embedded") return [embedded];
  const outside = chosenKafka(environment);
  const kafka: KafkaChoice =
    typeof outside === "object"
      ? { ...outside, prefix: `${outside.prefix ? `${outside.prefix}-` : ""}bench-${process.pid}` }
      : true;
  try {
    if (kafka === true) await readyKafka(say);
  } catch (error) {
    if (!(error instanceof Problem) || chosen === "kafka") throw error;
    say(`Only the embedded log is measured. ${error.message}`);
    return [embedded];
  }
  const onKafka: MeasuredLog = { name: "Kafka", kafka };
  return chosen === "kafka" ? [onKafka] : [embedded, onKafka];
}
