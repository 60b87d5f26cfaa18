/**
 * `make chaos`: breaks the shop in every way of list.ts while real purchases flow. SCENARIO=14|broker-down|1,2,7-9 names
 * some; SEED sets what is random; SECONDS is the longest that a lasting fault takes; SHORT=1 makes that 8; KAFKA=0 keeps
 * the event log in Postgres; PORT_OFFSET and CROWDCRUNCH_VAR keep two runs on one machine apart. Prints a table and
 * writes var/chaos/report.json; exits with 1 unless every row is green.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem, main, shopPlace } from "@crowdcrunch/tools/environment";
import { noFullDisk } from "./full-disk.ts";
import { openPlace } from "./place.ts";
import type { Place } from "./place.ts";
import { repeatCommand, report, writeReport } from "./report.ts";
import type { RunVariables } from "./report.ts";
import { runScenario } from "./run-scenario.ts";
import type { Row } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { allScenarios, choose } from "./scenarios.ts";

const shortSeconds = 8;

function numberFrom(name: string): number | undefined {
  const text = process.env[name];
  if (!text) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Problem(`${name} is "${text}"; it must be a number above 0.`);
  return value;
}

await main(async () => {
  const variables: RunVariables = {
    seed: numberFrom("SEED") ?? 1,
    short: process.env.SHORT === "1",
    kafka: process.env.KAFKA !== "0",
    seconds: numberFrom("SECONDS"),
  };
  const scenarios = await allScenarios();
  const chosen = process.env.SCENARIO ? choose(scenarios, process.env.SCENARIO) : scenarios;
  const folder = join(shopPlace().varDir, "chaos");
  mkdirSync(folder, { recursive: true });
  const driverLog = join(folder, "acknowledged.jsonl");
  rmSync(driverLog, { force: true });

  const rows: Row[] = [];
  let place: Place | undefined;
  const closePlace = async () => {
    await place?.close().catch((error: Error) => console.log(`The shop did not end well: ${error.message}`));
    place = undefined;
  };
  const interrupted = () => void closePlace().finally(() => process.exit(130));
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);

  const { seed, short, kafka } = variables;
  for (const [index, scenario] of chosen.entries()) {
    console.log(`\n[${index + 1}/${chosen.length}] ${scenario.number} ${scenario.name}: ${scenario.hypothesis}`);
    const lacking = lackOf(scenario, kafka);
    if (lacking !== undefined) {
      console.log(`  NOT RUN: ${lacking}`);
      rows.push(notRun(scenario, seed, lacking));
      continue;
    }
    const beganMs = performance.now();
    const say = (sentence: string) =>
      console.log(`  ${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
    if (!place) {
      say(`starting a shop on ${kafka ? "Kafka" : "the embedded log"} …`);
      place = await openPlace({ kafka, seed, say });
    }
    const atMostSeconds = variables.seconds ?? (short ? shortSeconds : Infinity);
    const row = await runScenario(scenario, { place, seed, short, atMostSeconds, driverLog, say });
    rows.push(row);
    console.log(`  ${row.verdict.toUpperCase()} after ${row.seconds} s`);
    if (row.verdict === "red") {
      for (const reason of row.reasons) console.log(`  ${reason}`);
      const logs = join(folder, `${String(scenario.number).padStart(2, "0")}-${scenario.name}`);
      place.keepLogs(logs);
      console.log(`  logs: ${logs}\n  again: ${repeatCommand(row, variables)}`);
      // The next scenario must not suffer from this one.
      await closePlace();
    }
    writeReport(join(folder, "report.json"), rows, variables);
  }
  await closePlace();
  for (const line of report(rows, variables)) console.log(line);
  process.exit(rows.every(({ verdict }) => verdict === "green") ? 0 : 1);
});

function lackOf({ needs }: Scenario, kafka: boolean): string | undefined {
  if (needs === "kafka" && !kafka) return "it needs Kafka";
  return needs === "cc" ? noFullDisk() : undefined;
}

function notRun(scenario: Scenario, seed: number, reason: string): Row {
  const { number, name, fault } = scenario;
  return {
    ...{ number, name, fault, seed, verdict: "not run", reasons: [reason], injected: 0, fired: [], inFlight: 0 },
    ...{ placed: 0, acknowledged: 0, repeats: 0, lost: [], doubled: [], recoveriesMs: [], seconds: 0 },
  };
}
