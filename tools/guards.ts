/**
 * `make guards`: takes each guard out in turn, in a copy of the project, and shows that a test misses it. A guard that
 * nobody misses is a finding: either it guards nothing, or a test is missing. GUARD=<name>[,…] tries some alone.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Problem, main } from "./environment.ts";
import { guards } from "./guards/guards.ts";
import type { Guard } from "./guards/guards.ts";
import { makeScratchCopy } from "./scratch.ts";
import type { ScratchCopy } from "./scratch.ts";

/** The longest that the tests of one guard may take, in ms. */
const patienceMs = 240_000;

interface TestRun {
  passed: number;
  /** Tests that failed by themselves, with the first line of why. */
  failed: { name: string; why: string }[];
  output: string;
}

interface VitestReport {
  testResults: { assertionResults: { status: string; fullName: string; failureMessages?: string[] }[] }[];
}

function runTests(copy: ScratchCopy, tests: string[], only: string | undefined, bail: boolean): TestRun {
  const report = join(copy.root, "guards-report.json");
  rmSync(report, { force: true });
  const run = spawnSync(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      ...tests,
      ...(only ? ["-t", only] : []),
      ...(bail ? ["--bail=1"] : []),
      "--reporter=json",
      `--outputFile=${report}`,
    ],
    {
      cwd: copy.root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
      timeout: patienceMs,
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  const output = `${run.stdout}${run.stderr}`.slice(-3_000);
  if (!existsSync(report)) return { passed: 0, failed: [], output };
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as VitestReport;
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  return {
    passed: all.filter(({ status }) => status === "passed").length,
    failed: all
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages }) => ({
        name: fullName.trim(),
        why: failureMessages?.[0]?.split("\n", 1)[0] ?? "",
      })),
    output,
  };
}

/** Tests of guards that are tried together are checked once: with all guards in place they must pass. */
function checkWhole(copy: ScratchCopy, chosen: Guard[]): void {
  const tests = [...new Set(chosen.flatMap((guard) => guard.tests))];
  const whole = runTests(copy, tests, undefined, false);
  if (whole.failed.length > 0 || whole.passed === 0)
    throw new Problem(
      `With all guards in place the tests must pass, and do not:\n${
        whole.failed.map(({ name, why }) => `${name}: ${why}`).join("\n") || whole.output
      }`,
    );
  console.log(`With all guards in place ${whole.passed} tests of ${tests.length} files pass.\n`);
}

function without(guard: Guard, copy: ScratchCopy): TestRun {
  const text = readFileSync(join(copy.root, guard.file), "utf8");
  if (text.split(guard.find).length !== 2)
    throw new Problem(`The guard ${guard.name} must stand exactly once in ${guard.file}; mend tools/guards/guards.ts.`);
  const putBack = copy.overwrite(
    guard.file,
    text.replace(guard.find, () => guard.replace),
  );
  try {
    return runTests(copy, guard.tests, guard.only, true);
  } finally {
    putBack();
  }
}

await main(async () => {
  const names = process.env.GUARD?.split(",");
  const unknown = names?.filter((name) => !guards.some((guard) => guard.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Problem(`No such guard: ${unknown.join(", ")}. There are ${guards.map(({ name }) => name).join(", ")}.`);
  const chosen = names ? guards.filter(({ name }) => names.includes(name)) : guards;

  const copy = makeScratchCopy();
  let missed = 0;
  try {
    checkWhole(copy, chosen);
    for (const [index, guard] of chosen.entries()) {
      const { passed, failed, output } = without(guard, copy);
      if (failed.length > 0) missed += 1;
      const silence = passed > 0 ? `MISSED BY NO TEST, ${passed} pass` : "ITS TESTS DID NOT RUN";
      const verdict = failed.length > 0 ? `missed by “${failed[0]!.name}”` : silence;
      console.log(`${index + 1}/${chosen.length}  ${guard.name}  (${guard.file})\n    ${guard.without}: ${verdict}`);
      if (failed.length === 0) console.log(`    the way to look: make guards GUARD=${guard.name}\n${output}`);
    }
  } finally {
    copy.remove();
  }
  const unmissed = chosen.length - missed;
  console.log(`\n${chosen.length} guards taken out, ${unmissed} that no test misses`);
  console.log(`${missed} passed, ${unmissed} failed`);
  if (unmissed > 0) process.exitCode = 1;
});
