import { Partitioners } from "kafkajs";
import type { ICustomPartitioner, Producer, RecordMetadata } from "kafkajs";
import { EventLogUnavailable, retry, unavailable } from "./client.ts";
import type { KafkaClient } from "./client.ts";
import type { OutgoingMessage } from "./records.ts";

/** Most bytes of data in one request: all of it may be for one partition, where it becomes one batch of `maxBatchBytes`. */
export const maxRequestBytes = 640 * 1024;

/** What topics must accept at once, in bytes; Kafka's own default for `max.message.bytes`. */
export const maxBatchBytes = 1_048_588;

/** How long a send and its repetitions may take. kafkajs has ways to never settle. */
const settledWithinMs = 25_000;

export interface EventProducer {
  /** Resolves when all replicas in sync have all messages; those of one call and key are in order. */
  send(name: string, messages: OutgoingMessage[]): Promise<void>;
  close(): Promise<void>;
}

interface Connected {
  producer: Producer;
  /** Of the running send. */
  trace: SendTrace;
  /** Rejects when a request was not answered: kafkajs would try again on the connection on which nothing comes any more. */
  unanswered: Promise<never>;
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
    const trace = newTrace();
    /** The partitioner of Java's client, so that others who write find the same partitions; notes what it chose. */
    const createPartitioner: ICustomPartitioner = () => {
      const choose = Partitioners.DefaultPartitioner();
      return (message) => {
        const partition = choose(message);
        trace.calls++;
        trace.partitions.add(partition);
        for (const { partitionId, leader } of message.partitionMetadata)
          if (partitionId === partition) trace.leaders.add(leader);
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
    const { promise: unanswered, reject } = Promise.withResolvers<never>();
    unanswered.catch(() => {});
    producer.on("producer.network.request_timeout", ({ payload: { apiName } }) =>
      reject(new EventLogUnavailable(`Kafka did not answer in time (${apiName})`)),
    );
    await producer.connect();
    return { producer, trace, unanswered };
  }

  async function sendAtOnce(name: string, messages: OutgoingMessage[]): Promise<void> {
    if (closed) throw new Error("the event log is closed");
    const attempt = (current ??= connect());
    try {
      const { producer, trace, unanswered } = await inTime(attempt);
      Object.assign(trace, newTrace());
      const sent = producer.send({ topic: name, acks: -1, messages });
      const doubt = doubtAbout(trace, messages.length, await inTime(Promise.race([sent, unanswered])));
      if (doubt !== undefined) throw new EventLogUnavailable(`${name}: ${doubt}`);
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

/** What kafkajs did for a send, as its partitioner saw it. */
export interface SendTrace {
  /** Messages that were given a partition: more than there are where it sent them again. */
  calls: number;
  partitions: Set<number>;
  /** The brokers that led these partitions, at some moment of the send. */
  leaders: Set<number>;
}

function newTrace(): SendTrace {
  return { calls: 0, partitions: new Set(), leaders: new Set() };
}

/**
 * Why a send that kafkajs reports as done may not be, if there is a reason. Where one of several brokers fails, it keeps
 * the answers of the others and asks these no more: also not for partitions that they lead since then, nor where their
 * answer was that of a leader who no longer was one. Such a send is done again as a whole.
 * https://github.com/tulios/kafkajs/issues/1303 and https://github.com/tulios/kafkajs/pull/1798
 */
export function doubtAbout(trace: SendTrace, messages: number, acknowledged: RecordMetadata[]): string | undefined {
  const known = new Set(acknowledged.filter(({ errorCode }) => errorCode === 0).map(({ partition }) => partition));
  const missing = [...trace.partitions].filter((partition) => !known.has(partition));
  if (missing.length > 0) return `Kafka acknowledged nothing for the partitions ${missing.join(", ")}`;
  if (trace.calls > messages && trace.leaders.size > 1) return "a broker failed while others had answered";
  return undefined;
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
