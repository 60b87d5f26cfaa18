/** One node of Apache Kafka in KRaft mode, broker and controller in one: its settings, its data folder, its command. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, rmSync, writeFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Problem } from "../environment.ts";
import { kafkaProgram } from "./program.ts";
import type { KafkaProgram } from "./program.ts";

export interface Listener {
  name: string;
  protocol: "PLAINTEXT" | "SSL" | "SASL_SSL";
  port: number;
  /** The port that clients are told to use, where something stands in front of the listener's own. */
  advertisedPort?: number;
}

/** Who may sign in at listeners with SASL, by each of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512. */
export interface Account {
  username: string;
  password: string;
}

export interface NodeSettings {
  /** Absolute path; settings, data and certificates live in it. */
  folder: string;
  controllerPort: number;
  /** The first one is the broker's own. */
  listeners: Listener[];
  /** Most heap of the Java process, in MiB. */
  heapMegabytes: number;
  /** The key store (PKCS #12) of listeners with TLS. */
  keyStore?: { file: string; password: string };
  accounts?: Account[];
  /** True: a topic that somebody asks for comes into being, as on brokers that nobody has set up. Default false. */
  autoCreateTopics?: boolean;
}

/** The line of its log by which a node says that it serves. */
export const servingLine = "Kafka Server started";
const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/**
 * Writes a node's settings, formats its data folder where it is new, and resolves to the command that runs it. Throws a
 * Problem where Kafka cannot be had on this machine.
 */
export async function prepareNode(settings: NodeSettings, say: (sentence: string) => void = () => {}) {
  const program = await kafkaProgram(say);
  mkdirSync(settings.folder, { recursive: true });
  const data = join(settings.folder, "data");
  if (!existsSync(data)) await format(settings, program, data);
  const file = join(settings.folder, "server.properties");
  // Passwords of accounts are in it.
  writeFileSync(file, properties(settings, data), { mode: 0o600 });
  return { program, command: commandOf(program, settings.heapMegabytes, file) };
}

/** Made under another name, so that a run that is cut off leaves no half a folder behind. */
async function format(settings: NodeSettings, program: KafkaProgram, data: string): Promise<void> {
  const unfinished = join(settings.folder, "data.new");
  rmSync(unfinished, { recursive: true, force: true });
  const file = join(settings.folder, "format.properties");
  writeFileSync(file, properties(settings, unfinished), { mode: 0o600 });
  const clusterId = Buffer.from(randomUUID().replaceAll("-", ""), "hex").toString("base64url");
  const scram = (settings.accounts ?? []).flatMap(({ username, password }) =>
    mechanisms.slice(1).flatMap((name) => ["--add-scram", `${name}=[name=${username},password=${password}]`]),
  );
  // With "=", because an id may begin with a dash, which would be another option.
  const tool = ["kafka.tools.StorageTool", "format", `--cluster-id=${clusterId}`, "-c", file, ...scram];
  await promisify(execFile)(program.program, ["-Xmx96m", "-XX:TieredStopAtLevel=1", "-cp", program.classPath, ...tool])
    .catch(({ stderr, message }: { stderr?: string; message: string }) => {
      throw new Problem(`Kafka could not make its data folder ${data}:\n${stderr?.trim() || message}`);
    })
    .finally(() => rmSync(file));
  renameSync(unfinished, data);
}

function commandOf(program: KafkaProgram, heapMegabytes: number, file: string): string[] {
  const logger = "-Dorg.slf4j.simpleLogger";
  return [
    program.program,
    ...[`-Xms${heapMegabytes}m`, `-Xmx${heapMegabytes}m`, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
    // Lost memory must end the process, which is then started again.
    "-XX:+ExitOnOutOfMemoryError",
    ...(existsSync(program.archive) ? [`-XX:SharedArchiveFile=${program.archive}`] : []),
    ...[`${logger}.defaultLogLevel=warn`, `${logger}.log.kafka.server.KafkaRaftServer=info`],
    // Why groups share their partitions anew.
    `${logger}.log.org.apache.kafka.coordinator.group.GroupMetadataManager=info`,
    ...[`${logger}.showDateTime=true`, `${logger}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX`],
    ...["-cp", program.classPath, "kafka.Kafka", file],
  ];
}

function properties(settings: NodeSettings, data: string): string {
  const { controllerPort, listeners, keyStore, accounts = [] } = settings;
  const controller = `127.0.0.1:${controllerPort}`;
  const signsIn = listeners.filter(({ protocol }) => protocol === "SASL_SSL").map(({ name }) => name.toLowerCase());
  const users = accounts.map(({ username, password }) => `user_${username}="${password}"`).join(" ");
  const modules = "org.apache.kafka.common.security";
  const entries: Record<string, string | number> = {
    "process.roles": "broker,controller",
    "node.id": 1,
    // By address and not as a stored voter: the port of a shop may be another the next time.
    "controller.quorum.voters": `1@${controller}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": listeners[0]!.name,
    listeners: [
      ...listeners.map(({ name, port }) => `${name}://127.0.0.1:${port}`),
      `CONTROLLER://${controller}`,
    ].join(),
    "advertised.listeners": listeners
      .map(({ name, port, advertisedPort = port }) => `${name}://127.0.0.1:${advertisedPort}`)
      .join(),
    "listener.security.protocol.map": [
      ...listeners.map(({ name, protocol }) => `${name}:${protocol}`),
      "CONTROLLER:PLAINTEXT",
    ].join(),
    "log.dirs": data,

    // One node keeps one copy of everything.
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    // A shop that was down for long goes on where it stood.
    "offsets.retention.minutes": 525_600,

    // Topics are declared, with their partitions, by those who publish.
    "auto.create.topics.enable": String(settings.autoCreateTopics ?? false),
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,

    // After a kill the node's own session ends soon, so that it is back in 4 s and not in 13.
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 500,

    // A small heap: the cleaner's default buffer alone is 128 MB.
    "log.cleaner.dedupe.buffer.size": 2_097_152,
    "num.network.threads": 2,
    "num.io.threads": 4,
    ...(keyStore
      ? {
          "ssl.keystore.type": "PKCS12",
          "ssl.keystore.location": keyStore.file,
          "ssl.keystore.password": keyStore.password,
        }
      : {}),
    ...Object.fromEntries(
      signsIn.flatMap((name) => [
        [`listener.name.${name}.sasl.enabled.mechanisms`, mechanisms.join()],
        [`listener.name.${name}.plain.sasl.jaas.config`, `${modules}.plain.PlainLoginModule required ${users};`],
        ...mechanisms
          .slice(1)
          .map((mechanism) => [
            `listener.name.${name}.${mechanism.toLowerCase()}.sasl.jaas.config`,
            `${modules}.scram.ScramLoginModule required;`,
          ]),
      ]),
    ),
  };
  return Object.entries(entries)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
