import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describeOnKafka } from "@crowdcrunch/kit/testing/kafka";
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import type { TcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import { freePorts } from "@crowdcrunch/tools/kafka/free-ports";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { Kafka, logLevel } from "kafkajs";
import type { Admin, KafkaConfig } from "kafkajs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startBroker } from "./kafka.ts";
import type { Broker } from "./kafka.ts";

function client(config: KafkaConfig): Kafka {
  return new Kafka({ logLevel: logLevel.NOTHING, retry: { retries: 2 }, connectionTimeout: 2_000, ...config });
}

async function asAdmin<T>(config: KafkaConfig, ask: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = client(config).admin();
  try {
    await admin.connect();
    return await ask(admin);
  } finally {
    await admin.disconnect();
  }
}

describeOnKafka("the Kafka of this run", (brokers) => {
  test("answers, and makes no topic that nobody declared", async () => {
    const cluster = await asAdmin({ brokers }, (admin) => admin.describeCluster());
    expect(cluster.brokers.length).toBeGreaterThan(0);
    await expect(
      asAdmin({ brokers }, (admin) => admin.fetchTopicMetadata({ topics: [`undeclared-${process.pid}`] })),
    ).rejects.toThrow("does not host this topic-partition");
  });
});

const missing = kafkaProgramMissing();
describe.skipIf(missing !== undefined)("a broker of a test's own", () => {
  const account = { username: "shop", password: "it's a secret" };
  let broker: Broker;
  let proxy: TcpProxy;
  beforeAll(async () => {
    const [proxyPort] = await freePorts(1);
    broker = await startBroker({ proxyPort: proxyPort!, secured: { accounts: [account] } });
    proxy = await startTcpProxy({ host: "127.0.0.1", port: broker.ports.proxied! }, proxyPort);
    await asAdmin({ brokers: broker.brokers }, (admin) =>
      admin.createTopics({ topics: [{ topic: "kept", numPartitions: 3 }], waitForLeaders: true }),
    );
  });
  afterAll(async () => {
    await broker.stop();
    await proxy.close();
  });

  const partitions = (config: KafkaConfig) =>
    asAdmin(
      config,
      async (admin) => (await admin.fetchTopicMetadata({ topics: ["kept"] })).topics[0]!.partitions.length,
    );
  const secured = (port: number): KafkaConfig => ({
    brokers: [`127.0.0.1:${port}`],
    ssl: { ca: [readFileSync(broker.caFile!)] },
  });

  test("keeps its ports and data when it is killed and started again", async () => {
    const before = broker.pid();
    await broker.kill();
    await expect(partitions({ brokers: broker.brokers })).rejects.toThrow("ECONNREFUSED");
    await broker.start();
    expect(broker.pid()).not.toBe(before);
    expect(await partitions({ brokers: broker.brokers })).toBe(3);
  });

  test("says nothing while it is frozen, and goes on after it", async () => {
    broker.freeze();
    await expect(partitions({ brokers: broker.brokers, requestTimeout: 500, retry: { retries: 0 } })).rejects.toThrow(
      "timed out",
    );
    broker.thaw();
    expect(await partitions({ brokers: broker.brokers })).toBe(3);
  });

  test("speaks TLS", async () => {
    expect(await partitions(secured(broker.ports.tls!))).toBe(3);
    await expect(partitions({ ...secured(broker.ports.tls!), ssl: true })).rejects.toThrow("self-signed certificate");
  });

  test.each(["plain", "scram-sha-256", "scram-sha-512"] as const)(
    "lets in by %s who knows the password",
    async (mechanism) => {
      const as = (password: string): KafkaConfig => ({
        ...secured(broker.ports.sasl!),
        sasl: { mechanism, username: account.username, password } as Exclude<KafkaConfig["sasl"], undefined>,
      });
      expect(await partitions(as(account.password))).toBe(3);
      await expect(partitions(as("guessed"))).rejects.toThrow(/authentication failed|invalid credentials/iu);
    },
  );

  test("leads the clients of a proxy through the proxy, and the others past it", async () => {
    const through = { brokers: [`127.0.0.1:${proxy.port}`] };
    const told = await asAdmin(through, (admin) => admin.describeCluster());
    expect(told.brokers.map(({ port }) => port)).toEqual([proxy.port]);
    const past = await asAdmin({ brokers: broker.brokers }, (admin) => admin.describeCluster());
    expect(past.brokers.map(({ port }) => port)).toEqual([broker.ports.plain]);
  });

  test("ends with the process that started it, however that ends", async () => {
    const script = `
      const { startBroker } = await import(${JSON.stringify(fileURLToPath(import.meta.resolve("./kafka.ts")))});
      const broker = await startBroker({ secured: { accounts: [] } });
      console.log(broker.pid() + " " + broker.caFile);
      setInterval(() => {}, 1000);`;
    const starter = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(starter.stdout, "data")) as [Buffer];
    const [pid, caFile] = line.toString().trim().split(" ") as [string, string];
    const folder = dirname(dirname(caFile));
    expect(existsSync(folder)).toBe(true);
    starter.kill("SIGKILL");
    await vi.waitFor(() => expect(() => process.kill(Number(pid), 0)).toThrow("ESRCH"), { timeout: 10_000 });
    await vi.waitFor(() => expect(existsSync(folder)).toBe(false), { timeout: 10_000 });
  });
});
