import { defineConfig } from "vitest/config";

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

/** Tests run as the services do, by Node itself; Vite would also resolve a second copy of graphql, which it refuses. */
const experimental = { viteModuleRunner: false };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          experimental,
          include: [...parts.map((folder) => `${folder}/${unitTests}`), "tools/**/*.test.ts", "test/**/*.unit.test.ts"],
          exclude: [...exclude, toolsOnPostgres],
          testTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "postgres",
          experimental,
          include: [...parts.map((folder) => `${folder}/**/*.test.ts`), toolsOnPostgres],
          exclude: [...exclude, unitTests, ...onKafka],
          // One Postgres for all files; a run of unit tests alone does not start it.
          globalSetup: "test/global-setup.ts",
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "kafka",
          experimental,
          include: onKafka,
          exclude: [...exclude, unitTests],
          globalSetup: ["test/global-setup.ts", "test/kafka/global-setup.ts"],
          // They mostly wait: for brokers that are killed and frozen, and for time-outs.
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 3 },
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
          include: ["test/**/*.test.ts"],
          exclude: [...exclude, unitTests, ...onKafka, onHelm],
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
