import { startBroker } from "@crowdcrunch/tools/kafka/broker";
import { freePorts } from "@crowdcrunch/tools/kafka/free-ports";
import type { OutsideKafka } from "@crowdcrunch/tools/kafka/shop-kafka";
import { Kafka, logLevel } from "kafkajs";
import type { Links } from "./links.ts";

/** The Kafka of a run, which nobody else uses. */
export interface Broker {
  /** The shop's processes reach it through the link "shop>broker", the harness past it. */
  choice: OutsideKafka;
  /** As `kill -9`; resolves when it is gone. Its data stay. */
  kill(): Promise<void>;
  /** Asks it to end; resolves when it has. */
  stopServing(): Promise<void>;
  /** Starts it on the same port and data; resolves when it serves. */
  start(): Promise<void>;
  /** Stops its clocks, as a machine that hangs. */
  freeze(): void;
  thaw(): void;
  /** How often a group has shared its partitions anew, by the broker's log. */
  rebalances(): number;
  /** Removes what a topic's partitions hold below these offsets, as retention does; resolves to how many events that is. */
  trim(topic: string, below: ReadonlyMap<number, number>): Promise<number>;
  /** Undoes what a scenario left: it runs and serves. */
  restore(): Promise<void>;
  /** Ends it for good. */
  end(): Promise<void>;
}

/** The link through which every process of the shop speaks with the broker. */
export const brokerLink = "shop>broker";

/** Starts a broker behind a link: a broker tells its clients its address, so they must be told the link's. */
export async function openBroker(links: Links, say: (sentence: string) => void): Promise<Broker> {
  const [linkPort] = await freePorts(1);
  const broker = await startBroker({ proxyPort: linkPort!, say });
  const link = await links.open(brokerLink, broker.ports.proxied!, linkPort);
  let [runs, frozen] = [true, false];
  const opened: Broker = {
    choice: { brokers: [`127.0.0.1:${link.port}`], directBrokers: broker.brokers, prefix: "chaos" },
    async kill() {
      runs = false;
      await broker.kill();
    },
    async stopServing() {
      runs = false;
      await broker.stopServing();
    },
    async start() {
      await broker.start();
      runs = true;
    },
    freeze() {
      frozen = true;
      broker.freeze();
    },
    thaw() {
      frozen = false;
      broker.thaw();
    },
    rebalances: () => broker.log().split("Preparing to rebalance group").length - 1,
    async trim(topic, below) {
      const name = `${opened.choice.prefix}.${topic}`;
      const admin = new Kafka({ brokers: broker.brokers, clientId: "chaos", logLevel: logLevel.NOTHING }).admin();
      await admin.connect();
      try {
        // What it deletes it must have asked about.
        const lows = await admin.fetchTopicOffsets(name);
        const cuts = lows
          .map(({ partition, low }) => ({ partition, low: Number(low), offset: below.get(partition) ?? 0 }))
          .filter(({ low, offset }) => offset > low);
        const partitions = cuts.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
        if (partitions.length > 0) await admin.deleteTopicRecords({ topic: name, partitions });
        return cuts.reduce((sum, { low, offset }) => sum + offset - low, 0);
      } finally {
        await admin.disconnect();
      }
    },
    async restore() {
      if (frozen) opened.thaw();
      if (!runs) await opened.start();
    },
    end: () => broker.stop(),
  };
  return opened;
}
