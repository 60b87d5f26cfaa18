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
  for (const test of module.children.allTests()) {
    const result = test.result();
    const name = `${file} > ${test.fullName}`;
    if (result.state === "passed") tally.passed += 1;
    else if (result.state === "failed") tally.failed.push(name);
    else tally.skipped.push({ name, reason: (result.state === "skipped" && result.note) || "no reason given" });
  }
  // A file that cannot be loaded, or whose hooks fail, may have no failed test of its own.
  if (module.state() === "failed" && tally.failed.length === failedBefore) tally.failed.push(file);
}
