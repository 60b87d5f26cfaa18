import { createWitness, eventually, records } from "@crowdcrunch/kit/testing/eventlog-world";
import { createKafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import type { KafkaEventLogWorld } from "@crowdcrunch/kit/testing/kafka-eventlog-world";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { Kafka, logLevel } from "kafkajs";
import type { Admin } from "kafkajs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startBroker } from "./kafka.ts";
import type { Broker } from "./kafka.ts";

// Whoever comes to the place of a member that was killed does not wait for the end of its session.

const orders = ["orders"];
/** So long that nobody gets the partitions of the dead because their session ended. */
const sessionMs = 120_000;

describe.skipIf(kafkaProgramMissing() !== undefined)("the successor of a killed member", () => {
  let broker: Broker;
  let world: KafkaEventLogWorld;
  let admin: Admin;
  beforeAll(async () => {
    broker = await startBroker({});
    admin = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
  });
  afterAll(async () => {
    await admin.disconnect();
    await broker.stop();
  });
  beforeEach(async () => {
    world = await createKafkaEventLogWorld(broker.brokers, orders, { sessionMs });
    const log = await world.open("orders");
    await log.ensureTopics([{ topic: "orders", partitions: 4 }]);
    await log.append("orders", records(8, 2));
  });
  afterEach(async () => {
    await world.close();
  });

  async function member(place: string, handle?: () => Promise<void>) {
    const witness = createWitness();
    const log = await world.open("orders", { place });
    await log.consume(witness.subscription("orders", orders, handle));
    return { log, witness };
  }
  /** The id of the group's member in a place; undefined where there is none. */
  async function memberAt(place: string): Promise<string | undefined> {
    const { groups } = await admin.describeGroups([`${world.prefix}.orders`]);
    return groups[0]!.members.find(({ clientId }) => clientId.includes(place))?.memberId;
  }
  const all = async () => Array.fromAsync((await world.open("orders")).read("orders"));

  test("has its partitions, though its session goes on", async () => {
    const dead = await member("host:4104", () => new Promise(() => {}));
    await eventually(() => expect(dead.witness.seen.length).toBeGreaterThan(0));
    await world.crash(dead.log);
    const { witness } = await member("host:4104");
    await witness.hasHandled(await all());
  });

  test("has them also where one after the other died while it joined", async () => {
    for (let round = 0; round < 3; round++) {
      const dead = await member("host:4104", () => new Promise(() => {}));
      if (round === 0) await eventually(() => expect(dead.witness.seen.length).toBeGreaterThan(0));
      await world.crash(dead.log);
    }
    const { witness } = await member("host:4104");
    await witness.hasHandled(await all());
  });

  test("leaves those in peace who run elsewhere", async () => {
    const elsewhere = await member("host:4105");
    await elsewhere.witness.hasHandled(await all());
    const before = await memberAt("host:4105");
    const here = await member("host:4104");
    await eventually(async () => expect(await memberAt("host:4104")).toBeDefined());
    expect(await memberAt("host:4105")).toBe(before);
    await here.log.append("orders", records(8, 2, 3));
    const handled = () => elsewhere.witness.handled.length + here.witness.handled.length;
    await eventually(() => expect(handled()).toBeGreaterThanOrEqual(32));
  });
});
