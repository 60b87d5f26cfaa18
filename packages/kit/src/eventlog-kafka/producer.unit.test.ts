import { expect, test } from "vitest";
import { maxRequestBytes, missingOf, requestsOf } from "./producer.ts";

const message = (value: string) => ({ key: "key", value, headers: {}, bytes: value.length });
const acknowledged = (partition: number, errorCode = 0) => ({ topicName: "orders", partition, errorCode });

test("partitions that no broker answered for, or with an error, are missing", () => {
  expect(missingOf([0, 1, 2], [acknowledged(0), acknowledged(1), acknowledged(2)])).toEqual([]);
  expect(missingOf([0, 1, 2], [acknowledged(0), acknowledged(2, 6)])).toEqual([1, 2]);
});

test("messages are sent in order, in as few requests as their size allows", () => {
  const values = [100, maxRequestBytes - 100, 1, maxRequestBytes + 5, 7, 8].map((size) => "x".repeat(size));
  const sizes = requestsOf(values.map(message)).map((request) => request.map(({ bytes }) => bytes));
  expect(sizes).toEqual([[100, maxRequestBytes - 100], [1], [maxRequestBytes + 5], [7, 8]]);
  expect(requestsOf([])).toEqual([]);
});
