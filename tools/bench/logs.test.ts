import { expect, test } from "vitest";
import { chosenLogs } from "./logs.ts";

const silent = () => {};

test("both logs are measured unless one is chosen; a Kafka outside under a prefix of the run's own", async () => {
  const embedded = { name: "embedded", kafka: false };
  const outside = { KAFKA_BROKERS: "kafka-0:9092", KAFKA_PREFIX: "shop" };
  const onOutside = {
    name: "Kafka",
    kafka: { brokers: ["kafka-0:9092"], prefix: expect.stringMatching(/^shop-bench-\d+$/) },
  };
  expect(await chosenLogs({ LOGS: "embedded", KAFKA: "1" }, "both", silent)).toEqual([embedded]);
  expect(await chosenLogs(outside, "both", silent)).toEqual([embedded, onOutside]);
  expect(await chosenLogs({ ...outside, LOGS: "kafka" }, "both", silent)).toEqual([onOutside]);
  expect(await chosenLogs({ ...outside, KAFKA: "1" }, "both", silent)).toEqual([onOutside]);
  expect(await chosenLogs(outside, "embedded", silent)).toEqual([embedded]);
  await expect(chosenLogs({ LOGS: "other" }, "both", silent)).rejects.toThrow('LOGS is "other"');
});
