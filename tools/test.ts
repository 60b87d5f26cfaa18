/**
 * `make test`: generates, checks and runs every test that this machine allows. Prints last what was not run and why,
 * and as its very last line "N passed, N failed", in which each static check counts as one test.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { freshnessChecks, runChecks, staticChecks } from "./check.ts";
import { requirements, unmetRequirements } from "./requirements.ts";
import { repositoryRoot } from "./schemas.ts";
import type { Tally } from "./test-tally.ts";

const environment = process.env;
const tallyFile = join(repositoryRoot, environment.CROWDCRUNCH_VAR ?? "var", "test/tally.json");

function runTests(): Tally {
  mkdirSync(dirname(tallyFile), { recursive: true });
  rmSync(tallyFile, { force: true });
  const { status, signal } = spawnSync(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--reporter=./tools/test-tally.ts"],
    { cwd: repositoryRoot, stdio: "inherit", env: { ...environment, TEST_TALLY: tallyFile } },
  );
  if (!existsSync(tallyFile)) return { passed: 0, failed: [`vitest ended early (${signal ?? status})`], skipped: [] };
  const tally = JSON.parse(readFileSync(tallyFile, "utf8")) as Tally;
  if (status !== 0 && tally.failed.length === 0) tally.failed.push(`vitest ended with ${signal ?? status}`);
  return tally;
}

const startedAt = performance.now();
const unmet = unmetRequirements(environment.REQUIRE ?? "", environment);
const generated = await runChecks([
  { name: "generate resolver types", arguments: ["tools/codegen.ts"], wayOut: "see above" },
]);
const checks = await runChecks([...staticChecks, ...freshnessChecks]);
const tally = runTests();

const rule = "=".repeat(100);
const missing = requirements.filter((requirement) => !requirement.isMet(environment));
if (tally.skipped.length > 0 || missing.length > 0) {
  console.log(`${rule}\nNOT RUN OR NOT AVAILABLE HERE:`);
  for (const { name, reason } of tally.skipped) console.log(`  ${name}: ${reason}`);
  for (const { name, wayOut } of missing) console.log(`  this machine has no ${name} (${wayOut})`);
}
const problems = [...unmet, ...tally.failed];
if (problems.length > 0) console.log(`${rule}\nFAILED:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);

const passed = generated.passed + checks.passed + tally.passed;
const failed = generated.failed + checks.failed + problems.length;
console.log(`${rule}\n${Math.round((performance.now() - startedAt) / 1000)} s`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
