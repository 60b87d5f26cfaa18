import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** What a test run came to, as tools/test.ts reads it. */
export interface Tally {
  passed: number;
  /** Names of what failed: tests, files that could not be loaded, errors outside of tests. */
  failed: string[];
  skipped: { name: string; reason: string }[];
}

/** A vitest reporter that writes the run's tally to the file TEST_TALLY names. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const tally: Tally = { passed: 0, failed: [], skipped: [] };
    for (const module of modules) count(module, tally);
    for (const error of unhandled) {
      tally.failed.push(`outside of any test: ${(error as { message?: string }).message ?? String(error)}`);
    }
    writeFileSync(process.env.TEST_TALLY!, JSON.stringify(tally));
  }
}

function count(module: TestModule, tally: Tally): void {
  const file = module.relativeModuleId;
  const failedBefore = tally.failed.length;
  const skipped: Tally["skipped"] = [];
  const tests = [...module.children.allTests()];
  for (const test of tests) {
    const result = test.result();
    const name = `${file} > ${test.fullName}`;
    if (result.state === "passed") tally.passed += 1;
    else if (result.state === "failed") tally.failed.push(name);
    else skipped.push({ name, reason: (result.state === "skipped" && result.note) || "no reason given" });
  }
  // A file all of which was skipped for one reason is one line.
  const [first] = skipped;
  const asOne = skipped.length === tests.length && skipped.every(({ reason }) => reason === first?.reason);
  if (asOne && first) tally.skipped.push({ name: `${file} (${skipped.length} tests)`, reason: first.reason });
  else tally.skipped.push(...skipped);
  // A file that cannot be loaded, or whose hooks fail, may have no failed test of its own.
  if (module.state() === "failed" && tally.failed.length === failedBefore) tally.failed.push(file);
}
