import { parseFaults } from "@crowdcrunch/kit/fault-settings";
import { Problem } from "./environment.ts";

/**
 * Variables for all processes of a shop by FAULTS of whoever starts it: 1 lets faults be set while it runs, settings are
 * for all from the start on. Throws a Problem that names what is wrong with them.
 */
export function chosenFaults(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const { FAULTS: text } = environment;
  if (!text || text === "0") return {};
  if (text === "1") return { FAULT_INJECTION: "true", FAULTS: "" };
  const { problems } = parseFaults(text);
  if (problems.length > 0)
    throw new Problem(`FAULTS is 1, or settings:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
  return { FAULT_INJECTION: "true", FAULTS: text };
}
