/** What some tests need and not every machine has. `REQUIRE=kafka,helm` makes a missing one a failure. */
import { helmMissing } from "./helm/availability.ts";
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
    isMet: (environment) => helmMissing(environment) === undefined,
    wayOut: "install Go (https://go.dev/dl), which builds helm 4, helm 3 and kubeconform",
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
