/** What some tests need and not every machine has. `REQUIRE=kafka,helm` makes a missing one a failure. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { kafkaWay } from "./kafka/availability.ts";

export interface Requirement {
  name: string;
  /** True where this machine has it. */
  isMet(environment: NodeJS.ProcessEnv): boolean;
  /** What to do to have it. */
  wayOut: string;
}

export const requirements: Requirement[] = [
  {
    name: "kafka",
    isMet: (environment) => "way" in kafkaWay(environment),
    wayOut: "set KAFKA_BROKERS, start a Docker daemon, or install Java 17 and Maven",
  },
  {
    name: "helm",
    isMet: (environment) => hasProgram("helm", environment),
    wayOut: "install helm",
  },
];

/** The problems of a REQUIRE list such as "kafka,helm": unknown names, and known ones that this machine lacks. */
export function unmetRequirements(list: string, environment: NodeJS.ProcessEnv): string[] {
  const names = list
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  return names.flatMap((name) => {
    const requirement = requirements.find((candidate) => candidate.name === name);
    if (!requirement)
      return [`REQUIRE names "${name}", known are: ${requirements.map((known) => known.name).join(", ")}.`];
    return requirement.isMet(environment) ? [] : [`${name} is required and missing: ${requirement.wayOut}.`];
  });
}

function hasProgram(name: string, environment: NodeJS.ProcessEnv): boolean {
  return (environment.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
