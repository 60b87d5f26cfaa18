/** The static checks: formatting, lint and types. `make check` runs them; `make test` counts each as a test. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { repositoryRoot } from "./schemas.ts";

export interface Check {
  name: string;
  /** Arguments of the project's own Node. */
  arguments: string[];
  /** What to do when it fails. */
  wayOut: string;
}

export const staticChecks: Check[] = [
  { name: "format", arguments: ["node_modules/oxfmt/bin/oxfmt", "--check"], wayOut: "run make fmt" },
  {
    name: "lint",
    arguments: ["node_modules/oxlint/bin/oxlint", "--type-aware", "--report-unused-disable-directives"],
    wayOut: "mend what it names; the borders between parts are explained in .oxlintrc.json",
  },
  {
    name: "types",
    arguments: ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"],
    wayOut: "mend what it names",
  },
];

export const freshnessChecks: Check[] = [
  { name: "resolver types are fresh", arguments: ["tools/codegen.ts", "--check"], wayOut: "run make codegen" },
  {
    name: "list of operations is fresh",
    arguments: ["tools/operations.ts", "--check"],
    wayOut: "run make operations and commit gateway/operations.json",
  },
  {
    name: "supergraph is fresh",
    arguments: ["tools/supergraph.ts", "--check"],
    wayOut: "run make supergraph and commit gateway/supergraph.graphql",
  },
  {
    name: "graph of callers is fresh",
    arguments: ["tools/callers.ts", "--check"],
    wayOut: "run make callers and commit callers.yaml",
  },
  {
    name: "faults of the mesh are fresh",
    arguments: ["tools/mesh-faults.ts", "--check"],
    wayOut: "run make callers and commit istio/faults",
  },
];

/** Runs the checks, as many at once as there are cores, with the output of each as it ends. Counts what passed and failed. */
export async function runChecks(checks: Check[]): Promise<{ passed: number; failed: number }> {
  const waiting = [...checks];
  let passed = 0;
  async function work(): Promise<void> {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const { status, output } = await run(check);
      console.log(`-- ${check.name}\n${output}`.trimEnd());
      if (status === 0) passed += 1;
      else console.log(`-- ${check.name} FAILED: ${check.wayOut}.`);
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return { passed, failed: checks.length - passed };
}

async function run(check: Check): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, check.arguments, { cwd: repositoryRoot });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output += data.toString()));
  const [status] = (await once(child, "close")) as [number | null];
  return { status, output };
}

if (import.meta.main) {
  const { failed } = await runChecks(process.argv.includes("--fresh") ? freshnessChecks : staticChecks);
  process.exitCode = failed > 0 ? 1 : 0;
}
