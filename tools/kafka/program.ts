/** Apache Kafka's own jars, fetched by Maven once for all checkouts of a user. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder, moveInto } from "../cache.ts";
import { Problem } from "../environment.ts";
import { findJava, hasMaven } from "./java.ts";
import type { Java } from "./java.ts";

/** The release that is run here; 4.4.0 lacks an artifact in Maven Central. */
export const kafkaVersion = "4.3.1";
const dependencies = [
  { group: "org.apache.kafka", artifact: "kafka_2.13", version: kafkaVersion },
  { group: "org.slf4j", artifact: "slf4j-simple", version: "1.7.36" },
];

/** How Kafka's classes are run. */
export interface KafkaProgram extends Java {
  /** The value of java's -cp. */
  classPath: string;
  /** An archive of the loaded classes, with which a broker starts in half the time. */
  archive: string;
}

const cacheName = `kafka-${kafkaVersion}`;

function jarsIn(environment: NodeJS.ProcessEnv): string {
  return join(cacheFolder(environment, cacheName), "lib");
}

/** Why Kafka's jars cannot be run on this machine, without starting anything; undefined where they can. */
export function kafkaProgramMissing(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const java = findJava(environment);
  if (typeof java === "string") return java;
  if (existsSync(jarsIn(environment)) || hasMaven(environment)) return undefined;
  return "Kafka's jars are not here, and there is no Maven to fetch them with (on Debian: apt install maven)";
}

/**
 * Kafka ready to be run: its jars are fetched where they are missing (45 MB). Throws a Problem where there is no Java 17,
 * no Maven, or no way to its repository. Several may ask for it at once.
 */
export async function kafkaProgram(say: (sentence: string) => void): Promise<KafkaProgram> {
  const missing = kafkaProgramMissing();
  if (missing !== undefined) throw new Problem(`Kafka cannot be started: ${missing}.`);
  const java = findJava(process.env) as Java;
  const jars = jarsIn(process.env);
  if (!existsSync(jars)) await fetchJars(jars, say);
  return {
    ...java,
    classPath: join(jars, "*"),
    archive: join(cacheFolder(process.env, cacheName), `classes-of-java-${java.version}.jsa`),
  };
}

async function fetchJars(jars: string, say: (sentence: string) => void): Promise<void> {
  const cache = cacheFolder(process.env, cacheName);
  mkdirSync(cache, { recursive: true });
  // Fetched into a folder of its own and then renamed: whole or not at all, and whoever is second drops his.
  const folder = mkdtempSync(join(cache, "fetching-"));
  try {
    say(`Fetching Apache Kafka ${kafkaVersion} by Maven (45 MB, once) into ${cache} …`);
    writeFileSync(join(folder, "pom.xml"), pom());
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    await promisify(execFile)(
      "mvn",
      ["-B", "-q", "-f", join(folder, "pom.xml"), goal, "-DincludeScope=runtime", `-DoutputDirectory=${folder}/lib`],
      { maxBuffer: 10e6 },
    ).catch(({ stdout, message }: { stdout?: string; message: string }) => {
      throw new Problem(`Maven could not fetch Apache Kafka ${kafkaVersion}:\n${stdout?.trim() || message}`);
    });
    moveInto(join(folder, "lib"), jars);
    say("Apache Kafka is here.");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pom(): string {
  const listed = dependencies.map(
    ({ group, artifact, version }) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>crowdcrunch</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>${listed.join("")}</dependencies>
</project>
`;
}
