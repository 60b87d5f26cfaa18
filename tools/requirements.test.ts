import { expect, test } from "vitest";
import { unmetRequirements } from "./requirements.ts";

const bare = { PATH: "/nowhere", HOME: "/nowhere" };

test("nothing is required by default", () => {
  expect(unmetRequirements("", bare)).toEqual([]);
});

test("a required thing that is missing is a problem with a way out", () => {
  expect(unmetRequirements("kafka, helm", bare)).toEqual([
    "kafka is required and missing: set KAFKA_BROKERS, start a Docker daemon, or install Java 17 and Maven.",
    "helm is required and missing: install Go (https://go.dev/dl), which builds helm 4, helm 3 and kubeconform.",
  ]);
  expect(unmetRequirements("kafka", { ...bare, KAFKA_BROKERS: "127.0.0.1:9092" })).toEqual([]);
});

test("an unknown name is a problem that names the known ones", () => {
  expect(unmetRequirements("kafak", bare)).toEqual(['REQUIRE names "kafak", known are: kafka, helm.']);
});
