import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";
import { compiledCodeFolder } from "./tools/compiled-code.ts";

const parts = [
  "packages/*/src",
  "services/*/src",
  "services/*/test",
  "gateway/src",
  "gateway/test",
  "provider/src",
  "provider/test",
  "auditor/src",
  "setup/src",
];
const exclude = ["**/node_modules/**"];
const unitTests = "**/*.unit.test.ts";
/** Tests that need a Kafka: those of test/kafka, and any with kafka in its own or its folder's name. */
const onKafka = [
  "test/kafka/**/*.test.ts",
  ...parts.flatMap((folder) => [`${folder}/**/*kafka*.test.ts`, `${folder}/**/*kafka*/**/*.test.ts`]),
];
/** Tests of tools that need a database; the others are unit tests. */
const toolsOnPostgres = "tools/**/*.int.test.ts";

/** Tests that need helm. */
const onHelm = "test/chart/**/*.test.ts";

/** Tests of the whole graph that need a database and no process beside them. */
const graphInProcess = "test/e2e/{access,idempotency,roles}.int.test.ts";

/** Tests of how much fits into the machine, which they must have to themselves. */
const alone = "gateway/test/pressure.int.test.ts";

/** Tests run as the services do, by Node itself; Vite would also resolve a second copy of graphql, which it refuses. */
const experimental = { viteModuleRunner: false };
/** For the tests, and for the programs and shops that they start. */
const env = { NODE_COMPILE_CACHE: compiledCodeFolder };

/** How long files take is not known in a fresh clone. These take longest, and begin first. */
const longest = [
  "test/kafka/kafka-traps.int.test.ts",
  "test/kafka/kafka-conformance.int.test.ts",
  "test/kafka/half-open.int.test.ts",
  "test/kafka/shop.test.ts",
  "packages/kit/src/eventlog-postgres.test.ts",
];
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const first = longest.flatMap((file) => sorted.filter(({ moduleId }) => moduleId.endsWith(file)));
    return [...new Set([...first, ...sorted])];
  }
}

const cores = availableParallelism();
/**
 * Tests on Kafka mostly wait: for brokers that are killed and frozen, and for time-outs. Those on Postgres keep the cores
 * busy meanwhile.
 */
const besideKafka = { maxWorkers: cores + 1, sequence: { groupOrder: 2 } };

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          experimental,
          env,
          include: [...parts.map((folder) => `${folder}/${unitTests}`), "tools/**/*.test.ts", "test/**/*.unit.test.ts"],
          exclude: [...exclude, toolsOnPostgres],
          testTimeout: 30_000,
          // Files that a worker takes one after the other share its modules, which saves a third of the processor's time.
          isolate: false,
          maxWorkers: cores,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "postgres",
          experimental,
          env,
          include: [...parts.map((folder) => `${folder}/**/*.test.ts`), toolsOnPostgres, graphInProcess],
          exclude: [...exclude, unitTests, ...onKafka, alone],
          // One Postgres for all files; a run of unit tests alone does not start it.
          globalSetup: "test/global-setup.ts",
          testTimeout: 30_000,
          hookTimeout: 30_000,
          ...besideKafka,
        },
      },
      {
        test: {
          name: "kafka",
          experimental,
          env,
          include: onKafka,
          exclude: [...exclude, unitTests],
          globalSetup: ["test/global-setup.ts", "test/kafka/global-setup.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          ...besideKafka,
        },
      },
      {
        test: {
          name: "chart",
          experimental,
          include: [onHelm],
          exclude,
          globalSetup: "test/chart/global-setup.ts",
          setupFiles: "test/chart/skip.ts",
          // All files need the services' variables, which a worker then loads once.
          isolate: false,
          testTimeout: 60_000,
          sequence: { groupOrder: 4 },
        },
      },
      {
        // The whole shop as separate processes, which keep both cores busy: one file at a time, after all others.
        test: {
          name: "whole",
          experimental,
          env,
          include: ["test/**/*.test.ts", alone],
          exclude: [...exclude, unitTests, ...onKafka, onHelm, graphInProcess],
          globalSetup: "test/global-setup.ts",
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
});
