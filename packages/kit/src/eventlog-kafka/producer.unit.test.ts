import type { Kafka, RecordMetadata } from "kafkajs";
import { afterEach, expect, test, vi } from "vitest";
import { isUnavailable } from "../errors.ts";
import type { KafkaClient } from "./client.ts";
import { doubtAbout, maxRequestBytes, openProducer, requestsOf } from "./producer.ts";

const message = (value: string) => ({ key: "key", value, headers: {}, bytes: value.length });
const acknowledged = (partition: number, errorCode = 0) => ({ topicName: "orders", partition, errorCode });

function trace(calls: number, partitions: number[], leaders: number[]) {
  return { calls, partitions: new Set(partitions), leaders: new Set(leaders) };
}

test("partitions that no broker answered for, or with an error, are in doubt", () => {
  expect(
    doubtAbout(
      trace(9, [0, 1, 2], [1, 2]),
      9,
      [0, 1, 2].map((id) => acknowledged(id)),
    ),
  ).toBe(undefined);
  expect(doubtAbout(trace(9, [0, 1, 2], [1, 2]), 9, [acknowledged(0), acknowledged(2, 6)])).toContain("1, 2");
});

test("a send that was repeated is in doubt where several brokers took part", () => {
  const answers = [acknowledged(0), acknowledged(1)];
  expect(doubtAbout(trace(10, [0, 1], [1, 2]), 5, answers)).toContain("a broker failed");
  expect(doubtAbout(trace(10, [0, 1], [1]), 5, answers)).toBe(undefined);
});

test("messages are sent in order, in as few requests as their size allows", () => {
  const values = [100, maxRequestBytes - 100, 1, maxRequestBytes + 5, 7, 8].map((size) => "x".repeat(size));
  const sizes = requestsOf(values.map(message)).map((request) => request.map(({ bytes }) => bytes));
  expect(sizes).toEqual([[100, maxRequestBytes - 100], [1], [maxRequestBytes + 5], [7, 8]]);
  expect(requestsOf([])).toEqual([]);
});

afterEach(() => {
  vi.useRealTimers();
});

test("a send that kafkajs never settles is given up in less than half a minute, and the next has a producer of its own", async () => {
  vi.useFakeTimers();
  const answers: Promise<RecordMetadata[]>[] = [new Promise(() => {}), Promise.resolve([])];
  const disconnected: number[] = [];
  let made = 0;
  const kafka = {
    producer() {
      const own = made++;
      return {
        on: () => () => {},
        connect: async () => {},
        send: () => answers[own],
        disconnect: async () => void disconnected.push(own),
      };
    },
  } as unknown as Kafka;
  const client = { kafka: () => kafka } as unknown as KafkaClient;
  const producer = openProducer(client);
  const given = producer.send("orders", [message("first")]).catch((error: unknown) => error);
  const next = producer.send("orders", [message("second")]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(isUnavailable(await given)).toBe(true);
  await next;
  expect([made, disconnected]).toEqual([2, [0]]);
  await producer.close();
});
