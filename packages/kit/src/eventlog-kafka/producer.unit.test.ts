import { expect, test } from "vitest";
import { doubtAbout, maxRequestBytes, requestsOf } from "./producer.ts";

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
