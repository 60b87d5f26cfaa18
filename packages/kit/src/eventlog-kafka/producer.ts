import { Partitioners } from "kafkajs";
import type { ICustomPartitioner, Producer, RecordMetadata } from "kafkajs";
import { EventLogUnavailable, retry, unavailable } from "./client.ts";
import type { KafkaClient } from "./client.ts";
import type { OutgoingMessage } from "./records.ts";

/** Most bytes of data in one request: all of it may be for one partition, where it becomes one batch of `maxBatchBytes`. */
export const maxRequestBytes = 640 * 1024;

/** What topics must accept at once, in bytes; Kafka's own default for `max.message.bytes`. */
export const maxBatchBytes = 1_048_588;

/** How long a request and its repetitions may take. kafkajs has ways to never settle. */
const settledWithinMs = 25_000;

export interface EventProducer {
  /** Resolves when all replicas in sync have all messages; those of one call and key are in order. */
  send(name: string, messages: OutgoingMessage[]): Promise<void>;
  close(): Promise<void>;
}

interface Connected {
  producer: Producer;
  /** Partitions of the messages of the running send. */
  chosen: Set<number>;
}

/**
 * An idempotent producer. kafkajs loses messages where two sends of one overlap and one fails: both then use the same
 * sequence numbers. So there is one request in flight, and after a rejected one there is a new producer, whose numbers
 * begin anew.
 */
export function openProducer(client: KafkaClient): EventProducer {
  let current: Promise<Connected> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let closed = false;

  async function connect(): Promise<Connected> {
    const chosen = new Set<number>();
    /** The partitioner of Java's client, so that others who write find the same partitions; notes which it chose. */
    const createPartitioner: ICustomPartitioner = () => {
      const choose = Partitioners.DefaultPartitioner();
      return (message) => {
        const partition = choose(message);
        chosen.add(partition);
        return partition;
      };
    };
    const producer = client.kafka("producer").producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner,
      retry,
    });
    await producer.connect();
    return { producer, chosen };
  }

  async function sendAtOnce(name: string, messages: OutgoingMessage[]): Promise<void> {
    if (closed) throw new Error("the event log is closed");
    const attempt = (current ??= connect());
    try {
      const { producer, chosen } = await attempt;
      chosen.clear();
      const sent = producer.send({ topic: name, acks: -1, messages });
      const unacknowledged = missingOf(chosen, await inTime(sent));
      if (unacknowledged.length > 0) {
        throw new EventLogUnavailable(
          `Kafka acknowledged nothing for ${name}, partitions ${unacknowledged.join(", ")}`,
        );
      }
    } catch (error) {
      if (current === attempt) current = undefined;
      void attempt.then(({ producer }) => producer.disconnect()).catch(() => {});
      throw unavailable(error);
    }
  }

  return {
    send(name, messages) {
      const sent = last.then(async () => {
        for (const request of requestsOf(messages)) await sendAtOnce(name, request);
      });
      last = sent.catch(() => {});
      return sent;
    },
    async close() {
      await last;
      closed = true;
      await current?.then(({ producer }) => producer.disconnect()).catch(() => {});
    },
  };
}

/**
 * Partitions that no broker has acknowledged. Where the leadership of a partition moves in the middle of a send to a
 * broker that has already answered for others, kafkajs takes that answer for both, and the messages are lost.
 */
export function missingOf(chosen: Iterable<number>, acknowledged: RecordMetadata[]): number[] {
  const known = new Set(acknowledged.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => partition));
  return [...chosen].filter((partition) => !known.has(partition));
}

/** Messages in order, in as few requests as their size allows. */
export function requestsOf(messages: OutgoingMessage[]): OutgoingMessage[][] {
  const requests: OutgoingMessage[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    if (bytes + message.bytes > maxRequestBytes) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(message);
    bytes += message.bytes;
  }
  return requests;
}

async function inTime<T>(sent: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new EventLogUnavailable("Kafka did not answer in time")), settledWithinMs);
  try {
    return await Promise.race([sent, late]);
  } finally {
    clearTimeout(timer);
    sent.catch(() => {});
  }
}
