import { appendFileSync } from "node:fs";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { startLoad } from "../e2e/steady-load.ts";
import type { Load } from "../e2e/steady-load.ts";
import { compare } from "./books.ts";
import type { Verdict } from "./books.ts";
import type { Place } from "./place.ts";
import type { Scenario } from "./scenario.ts";
import { openWorld, shoppersOf } from "./world.ts";
import type { Course, World } from "./world.ts";

/** A line of the report. */
export interface Row {
  number: number;
  name: string;
  fault: string;
  seed: number;
  verdict: "green" | "red" | "not run";
  /** Why it is not green. */
  reasons: string[];
  injected: number;
  /** How often the fault was seen at its own place, and by what. */
  fired: { count: number; where: string }[];
  /** Most purchases under way at an injection. */
  inFlight: number;
  /** Purchases begun, and those that the shop has answered for. */
  placed: number;
  acknowledged: number;
  repeats: number;
  lost: string[];
  doubled: string[];
  recoveriesMs: number[];
  seconds: number;
}

export interface RunOptions {
  place: Place;
  seed: number;
  short: boolean;
  /** The longest that a lasting fault takes. */
  atMostSeconds: number;
  /** Where the driver's log of what was acknowledged goes, a line of JSON each. */
  driverLog: string;
  say: (sentence: string) => void;
}

const shopperCount = 20;
const mostAtOnce = 1_500;
const mostPlacing = 16;
const defaultPerSecond = 12;
/** What a row needs to be green; see reliability.md §2. */
const leastAcknowledged = 100;
/** Before the fault. */
const warmAcknowledged = 15;

/**
 * Runs a scenario: steady load, fault, quiet, books, audit with window 0. Never throws: what goes wrong is in the row.
 * The place may be left in any state where the row is red.
 */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Row> {
  const { place, seed, short, say } = options;
  const beganMs = performance.now();
  const row: Row = {
    ...{ number: scenario.number, name: scenario.name, fault: scenario.fault, seed },
    ...{ verdict: "red", reasons: [], injected: 0, fired: [], inFlight: 0, placed: 0, acknowledged: 0, repeats: 0 },
    ...{ lost: [], doubled: [], recoveriesMs: [], seconds: 0 },
  };
  const { shoppers, stop } = await shoppersOf(place, shopperCount);
  let load: Load | undefined;
  let course: Course | undefined;
  try {
    place.points.mark();
    for (const [name, env] of Object.entries(scenario.env ?? {})) await place.processes.restart(name, env);
    load = startLoad({
      graph: place.loadGraph,
      shoppers,
      articles: place.articles,
      atOnce: mostAtOnce,
      placingAtOnce: mostPlacing,
      perSecond: scenario.perSecond ?? defaultPerSecond,
      returnEvery: 10,
      patienceMs: (short ? 120 : 300) * 1_000 + Math.min(options.atMostSeconds, 900) * 1_000,
      onTold: (order) => appendFileSync(options.driverLog, `${JSON.stringify(order)}\n`),
    });
    const opened = openWorld({ ...options, load, shoppers, number: scenario.number });
    const { world } = opened;
    course = opened.course;
    const acknowledges = (count: number) =>
      world.until(`${count} purchases acknowledged`, () => load!.acknowledged.length >= count, 120);

    await acknowledges(warmAcknowledged);
    await within(() => scenario.run(world), (short ? 180 : 300) + 3 * Math.min(options.atMostSeconds, 600));
    await place.restore();
    if (course.recoveriesMs.length === 0) await world.heal("measuring the recovery");
    await acknowledges(leastAcknowledged);
    row.recoveriesMs = await Promise.all(course.recoveriesMs);
    say(`recovered in ${row.recoveriesMs.map((ms) => `${Math.round(ms)} ms`).join(", ")}`);
    await load.end();
    say("all purchases have ended");
    await untilQuiet(world);
    say("quiet");
    await scenario.afterQuiet?.(world);
    Object.assign(row, await judgeBooks(place, load, course));
    row.reasons.push(...(await auditFindings(place, load)));
    await place.processes.restoreVariables();
  } catch (error) {
    row.reasons.push((error as Error).message);
    say(String((error as Error).stack));
  }
  stop();
  if (load) {
    row.reasons.push(...load.failures.slice(0, 3), ...(load.failures.length > 3 ? ["…"] : []));
    row.placed = load.begun();
    row.acknowledged = load.acknowledged.length;
    row.repeats = load.repeats();
    // After a failure nobody waits for them, and they must not come into the next scenario.
    void load.end();
  }
  if (course) row.reasons.push(...takeCourse(row, course));
  row.reasons.push(...[...row.lost, ...row.doubled].slice(0, 5));
  row.verdict = row.reasons.length === 0 ? "green" : "red";
  row.seconds = Math.round((performance.now() - beganMs) / 1_000);
  return row;
}

/** Puts the course into the row; says what it lacks for a green one. */
function takeCourse(row: Row, course: Course): string[] {
  Object.assign(row, { injected: course.injected, inFlight: course.inFlight, fired: course.fired });
  const reasons = [...course.unmet];
  if (course.injected === 0) reasons.push("nothing was injected");
  else if (course.inFlight === 0) reasons.push("no purchase was under way at the injection");
  if (course.fired.length === 0) reasons.push("the fault was not seen at its own place");
  if (row.acknowledged < leastAcknowledged)
    reasons.push(`${row.acknowledged} purchases were acknowledged, not ${leastAcknowledged}`);
  return reasons;
}

async function within(work: () => Promise<void>, seconds: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`the scenario did not end within ${seconds} s`)), seconds * 1e3);
  try {
    await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Nothing is on its way any more, and that twice: what a consumer has just read is in no table for a moment. */
async function untilQuiet(world: World): Promise<void> {
  let quiet = 0;
  await world.until("quiet", async () => (quiet = (await world.underWay()) === 0 ? quiet + 1 : 0) >= 5, 240);
}

async function judgeBooks(place: Place, load: Load, course: Course): Promise<Verdict> {
  return compare(
    place.whole.books,
    load.acknowledged,
    course.shoppers.map(({ id }) => id),
  );
}

async function auditFindings(place: Place, { acknowledged }: Load): Promise<string[]> {
  const lines: string[] = [];
  const url = place.whole.shop.databaseUrl("auditor");
  const { env } = place.logs;
  await auditShop({ url, env, acknowledged, windowSeconds: 0, say: (line) => lines.push(line), quiet: true });
  return lines.slice(0, 8).map((line) => `audit: ${line.trim()}`);
}
