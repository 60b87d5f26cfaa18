import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Problem } from "@crowdcrunch/tools/environment";
import type { Scenario } from "./scenario.ts";

const folder = new URL("scenarios/", import.meta.url);

/** All scenarios, by number. Throws a Problem where a file's name and its scenario disagree. */
export async function allScenarios(): Promise<Scenario[]> {
  const files = readdirSync(fileURLToPath(folder)).filter((file) => file.endsWith(".ts"));
  const scenarios = await Promise.all(
    files.map(async (file) => {
      const { default: scenario } = (await import(new URL(file, folder).href)) as { default: Scenario };
      const wanted = `${String(scenario.number).padStart(2, "0")}-${scenario.name}.ts`;
      if (file !== wanted)
        throw new Problem(`test/chaos/scenarios/${file} must be called ${wanted}, after its scenario.`);
      return scenario;
    }),
  );
  return scenarios.sort((a, b) => a.number - b.number);
}

/**
 * Those that SCENARIO names: numbers, ranges and names with commas, e.g. "1,2,7-9" or "broker-down". Throws a Problem
 * for what there is not.
 */
export function choose(scenarios: readonly Scenario[], wanted: string): Scenario[] {
  const chosen = new Set<Scenario>();
  for (const part of wanted.split(",").map((text) => text.trim())) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    const [from, to] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])];
    const found = scenarios.filter(({ number, name }) => (range ? number >= from && number <= to : name === part));
    if (found.length === 0)
      throw new Problem(
        `There is no scenario "${part}". There are:\n${scenarios.map(({ number, name }) => `  ${number} ${name}`).join("\n")}`,
      );
    for (const one of found) chosen.add(one);
  }
  return scenarios.filter((one) => chosen.has(one));
}
