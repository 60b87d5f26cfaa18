/** How a test gets a Kafka: one that runs already, a container, or Apache Kafka's own jars. */
import { kafkaWay } from "@crowdcrunch/tools/kafka/availability";
import { startBroker } from "@crowdcrunch/tools/kafka/broker";
import { Problem } from "@crowdcrunch/tools/environment";
import { freePorts } from "@crowdcrunch/tools/kafka/free-ports";
import { kafkaVersion } from "@crowdcrunch/tools/kafka/program";
import { GenericContainer, Wait } from "testcontainers";

export { startBroker } from "@crowdcrunch/tools/kafka/broker";
export type { Broker, BrokerOptions } from "@crowdcrunch/tools/kafka/broker";

export interface KafkaForTests {
  /** Addresses for KAFKA_BROKERS. Those who share it keep apart by a KAFKA_PREFIX each. */
  brokers: string[];
  /** Stops what was started for the tests; a Kafka that ran already runs on. */
  stop(): Promise<void>;
}

/**
 * A Kafka for tests: that of KAFKA_BROKERS; else a container where a Docker daemon answers; else Apache Kafka's jars on
 * the local Java, fetched by Maven once. Throws a Problem, which says what is missing, where none is possible.
 */
export async function kafkaForTests(say: (sentence: string) => void = console.log): Promise<KafkaForTests> {
  const found = kafkaWay();
  if ("missing" in found) throw new Problem(`${found.missing}.`);
  const { way } = found;
  if (typeof way === "object") return { brokers: way.brokers, stop: async () => {} };
  if (way === "docker") return startContainer(say);
  const { brokers, stop } = await startBroker({ say });
  return { brokers, stop };
}

async function startContainer(say: (sentence: string) => void): Promise<KafkaForTests> {
  const image = `apache/kafka:${kafkaVersion}`;
  say(`Starting a container of ${image} …`);
  // A broker tells its clients its own address, so the port outside must be known before it starts.
  const [port] = await freePorts(1);
  const container = await new GenericContainer(image)
    .withExposedPorts({ container: 9092, host: port! })
    .withEnvironment({
      KAFKA_NODE_ID: "1",
      KAFKA_PROCESS_ROLES: "broker,controller",
      KAFKA_LISTENERS: "PLAINTEXT://:9092,CONTROLLER://:9093",
      KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
      KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
      KAFKA_CONTROLLER_LISTENER_NAMES: "CONTROLLER",
      KAFKA_CONTROLLER_QUORUM_VOTERS: "1@localhost:9093",
      KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: "1",
      KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: "4",
      KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: "1",
      KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: "1",
      KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: "4",
      KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: "0",
      KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: "1000",
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: "false",
    })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .start();
  return { brokers: [`127.0.0.1:${port}`], stop: async () => void (await container.stop()) };
}
