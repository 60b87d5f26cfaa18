/** Which Kafka a shop runs on, if on any. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../environment.ts";
import type { ShopPlace } from "../environment.ts";
import type { ProcessPlan } from "../plan.ts";
import { brokersOf } from "./availability.ts";
import { readyKafka } from "./broker.ts";
import { prepareNode } from "./server.ts";

/** The broker that a shop brings along, and the port that its controller needs. */
export const kafka = { name: "kafka", port: 4060, controllerPort: 4061 } as const;

/** A Kafka that runs without the shop. */
export interface OutsideKafka {
  /** Addresses as the shop's processes use them. */
  brokers: string[];
  /** Addresses for tools, where something stands between the shop and its brokers. Default: the same. */
  directBrokers?: string[];
  /** What names of topics and groups begin with; where not given, as services choose. */
  prefix?: string;
}

/** True: a broker that the shop brings along. False: none, the events are in the embedded log. */
export type KafkaChoice = boolean | OutsideKafka;

/** What make's variables choose: KAFKA_BROKERS (with KAFKA_PREFIX) a Kafka outside, KAFKA=1 the shop's own. */
export function chosenKafka(environment: NodeJS.ProcessEnv = process.env): KafkaChoice {
  const brokers = brokersOf(environment);
  const prefix = environment.KAFKA_PREFIX;
  if (brokers.length > 0) return { brokers, ...(prefix ? { prefix } : {}) };
  return Boolean(environment.KAFKA) && environment.KAFKA !== "0";
}

/** What the shop in this folder was last started on; undefined where it has never been started. */
export function rememberedKafka(varDir: string): KafkaChoice | undefined {
  const file = memoryOf(varDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { kafka: KafkaChoice }).kafka : undefined;
}

/** Keeps the choice, once the shop may really run on it. */
export function rememberKafka(varDir: string, choice: KafkaChoice): void {
  const file = memoryOf(varDir);
  // Whole or not at all: others read it at any time.
  writeFileSync(`${file}.new`, `${JSON.stringify({ kafka: choice })}\n`);
  renameSync(`${file}.new`, file);
}

function memoryOf(varDir: string): string {
  return join(varDir, "event-log.json");
}

/** Throws a Problem where the shop's events are in one Kafka and it is to be started on another one, or on none. */
export function checkKafkaStays(varDir: string, choice: KafkaChoice): void {
  const remembered = rememberedKafka(varDir);
  // An outside Kafka may have moved to other addresses.
  const isOutside = (kafka_: KafkaChoice) => typeof kafka_ === "object";
  if (!remembered || remembered === choice || (isOutside(remembered) && isOutside(choice))) return;
  const [where, how] =
    remembered === true
      ? ["its own Kafka", "KAFKA=1 (make up KAFKA=1) and without KAFKA_BROKERS"]
      : [`the Kafka at ${remembered.brokers.join()}`, `KAFKA_BROKERS=${remembered.brokers.join()}`];
  throw new Problem(
    `This shop's events are in ${where}, and some may not have been handled yet: start it with ${how}. ` +
      `To begin again with nothing: make down, then rm -rf ${varDir}`,
  );
}

/** The variables by which a process finds its event log: the same ones for all processes. */
export function eventLogVariables(choice: KafkaChoice, place: ShopPlace): Record<string, string> {
  // Set in any case: what make was called with must not reach a shop that was told otherwise.
  const none = {
    KAFKA_BROKERS: "",
    KAFKA_PREFIX: "",
    KAFKA_SASL_MECHANISM: "",
    KAFKA_SASL_USERNAME: "",
    KAFKA_SASL_PASSWORD: "",
    KAFKA_TLS: "",
    KAFKA_TLS_CA_FILE: "",
  };
  if (choice === false) return none;
  if (choice === true) return { ...none, KAFKA_BROKERS: `127.0.0.1:${kafka.port + place.portOffset}` };
  return { KAFKA_BROKERS: choice.brokers.join(), KAFKA_PREFIX: choice.prefix ?? "" };
}

/** The same for a tool beside the shop. */
export function eventLogVariablesOfTools(choice: KafkaChoice, place: ShopPlace): Record<string, string> {
  if (typeof choice === "boolean") return eventLogVariables(choice, place);
  return eventLogVariables({ ...choice, brokers: choice.directBrokers ?? choice.brokers }, place);
}

/** The shop's own broker for a supervisor; data in varDir/kafka. Throws a Problem where this machine cannot run it. */
export async function kafkaProcess(place: ShopPlace, say: (sentence: string) => void): Promise<ProcessPlan> {
  await readyKafka(say);
  const port = kafka.port + place.portOffset;
  const { command } = await prepareNode({
    folder: join(place.varDir, "kafka"),
    controllerPort: kafka.controllerPort + place.portOffset,
    listeners: [{ name: "PLAIN", protocol: "PLAINTEXT", port }],
    heapMegabytes: 256,
  });
  return { name: kafka.name, command, env: {}, port };
}
