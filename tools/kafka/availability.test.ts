import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { kafkaWay } from "./availability.ts";
import { kafkaVersion } from "./program.ts";

let folder: string;
let environment: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "crowdcrunch-ways-"));
  environment = { PATH: folder, XDG_CACHE_HOME: join(folder, "cache") };
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program of this name that says something on standard error and ends with this code. */
function install(name: string, says: string, code = 0): void {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\necho '${says}' >&2\nexit ${code}\n`);
  chmodSync(file, 0o755);
}

const missing = () => (kafkaWay(environment) as { missing: string }).missing;

test("a Kafka that runs already comes first", () => {
  install("docker", "27.0.1");
  environment.KAFKA_BROKERS = "127.0.0.1:9092, 127.0.0.1:9093,";
  expect(kafkaWay(environment)).toEqual({ way: { brokers: ["127.0.0.1:9092", "127.0.0.1:9093"] } });
});

test("Docker counts when its daemon answers, and not for its client alone", () => {
  install("docker", "27.0.1");
  expect(kafkaWay(environment)).toEqual({ way: "docker" });
  install("docker", "Cannot connect to the Docker daemon", 1);
  expect(missing()).toContain("no Docker daemon answers, and there is no Java");
});

test("the jars need Java 17, and Maven until they are there", () => {
  install("java", 'openjdk version "11.0.20" 2023-07-18');
  expect(missing()).toContain("the Java here is 11.0.20; Kafka's broker needs 17 or newer");
  install("java", 'openjdk version "21.0.1" 2023-10-17');
  expect(missing()).toContain("there is no Maven to fetch them with");
  install("mvn", "Apache Maven 3.9.9");
  expect(kafkaWay(environment)).toEqual({ way: "jars" });
  rmSync(join(folder, "mvn"));
  mkdirSync(join(folder, "cache/crowdcrunch", `kafka-${kafkaVersion}`, "lib"), { recursive: true });
  expect(kafkaWay(environment)).toEqual({ way: "jars" });
});
