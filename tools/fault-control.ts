/** Sets and lists faults on purpose in the processes of a running shop: for `make faults` and for tests. */
import type { FaultInput, FaultState } from "@crowdcrunch/kit/faults";
import { operatorToken } from "./operator.ts";
import { Problem } from "./environment.ts";
import { gateway, provider, services } from "./processes.ts";
import type { ShopAddresses } from "./processes.ts";

/** The processes that have fault points. */
export const faultyProcesses = [...services, provider, gateway].map(({ name }) => name as string);

export interface FaultControl {
  /** What is set in a process. Throws a Problem where it does not answer or takes no faults. */
  list(name: string): Promise<FaultState[]>;
  /** Sets these in place of those before. Throws a Problem, also where a setting is wrong. */
  set(name: string, faults: FaultInput[]): Promise<FaultState[]>;
}

const fields = "point action match rate times afterPasses delayMs seed passes fired";

/** Speaks to each process itself, so that a faulty gateway stands in nobody's way. */
export function faultControl(shop: ShopAddresses): FaultControl {
  async function request(name: string, url: string, options: RequestInit): Promise<Record<string, any>> {
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(url, { ...options, signal }).catch((error: Error) => {
      const cause = (error.cause as Error | undefined)?.message ?? error.message;
      throw new Problem(
        `${name} does not answer (${cause}): see make status, or start the shop with make up FAULTS=1.`,
      );
    });
    const text = await response.text();
    if (response.status === 404) throw new Problem(`${name}: ${faultsAreOff}`);
    return text.startsWith("{") ? (JSON.parse(text) as Record<string, any>) : {};
  }

  function refuse(name: string, error: { message: string } | undefined): never {
    throw new Problem(`${name}: ${error?.message ?? "it did not say what is set"}`);
  }

  async function askGraph(name: string, port: number, query: string, faults?: FaultInput[]): Promise<FaultState[]> {
    const token = await operatorToken(shop.varDir, { roles: ["ADMIN"] });
    const answer = await request(name, `${shop.url({ port })}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables: faults ? { faults } : {} }),
    });
    return answer["data"]?.faults ?? refuse(name, answer["errors"]?.[0]);
  }

  async function askPath(name: string, port: number, faults?: FaultInput[]): Promise<FaultState[]> {
    const key =
      name === provider.name ? shop.secrets.providerApiKey : await operatorToken(shop.varDir, { roles: ["ADMIN"] });
    const answer = await request(name, `${shop.url({ port })}/faults`, {
      method: faults ? "PUT" : "GET",
      headers: { authorization: `Bearer ${key}`, ...(faults ? { "content-type": "application/json" } : {}) },
      ...(faults ? { body: JSON.stringify({ faults }) } : {}),
    });
    return answer["faults"] ?? refuse(name, answer["error"]);
  }

  function ask(name: string, faults?: FaultInput[]): Promise<FaultState[]> {
    const service = services.find((candidate) => candidate.name === name);
    const other = [provider, gateway].find((candidate) => candidate.name === name);
    if (other) return askPath(name, other.port, faults);
    if (!service) throw new Problem(`There is no process "${name}"; there are ${faultyProcesses.join(", ")}.`);
    const query = faults
      ? `mutation SetFaults($faults: [FaultInput!]!) { faults: ${name}SetFaults(faults: $faults) { ${fields} } }`
      : `query Faults { faults: ${name}Faults { ${fields} } }`;
    return askGraph(name, service.port, query, faults);
  }

  return { list: async (name) => ask(name), set: async (name, faults) => ask(name, faults) };
}

const faultsAreOff = "Faults are off in this process: start the shop with make up FAULTS=1.";
