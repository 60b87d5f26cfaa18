import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repositoryRoot } from "./schemas.ts";

/** A file with one line of code, and the rule that must refuse it, or "allowed". */
type Planted = [why: string, file: string, code: string, verdict: string];

const noImport = "eslint(no-restricted-imports)";
const noEnvironment = "node(no-process-env)";
const noProperty = "eslint(no-restricted-properties)";
const noGlobal = "eslint(no-restricted-globals)";

const planted: Planted[] = [
  ["a resolver calls commands", "services/a/src/resolvers.ts", `export * from "./commands.ts";`, "allowed"],
  ["a resolver reads the store", "services/a/src/resolvers.ts", `export * from "./store.ts";`, "allowed"],
  ["a resolver imports consumers", "services/a/src/resolvers.ts", `export * from "./consumers.ts";`, noImport],
  ["a consumer calls commands", "services/a/src/consumers.ts", `export * from "./commands.ts";`, "allowed"],
  ["a consumer imports the store", "services/a/src/consumers.ts", `export * from "./store.ts";`, noImport],
  ["a consumer names a row's type", "services/a/src/consumers.ts", `export type * from "./store.ts";`, "allowed"],
  ["a consumer imports resolvers", "services/a/src/consumers.ts", `export * from "./resolvers.ts";`, noImport],
  [
    "commands use domain and store",
    "services/a/src/commands.ts",
    `export * from "./store.ts";\nexport * from "./order.ts";`,
    "allowed",
  ],
  ["commands import resolvers", "services/a/src/commands.ts", `export * from "./resolvers.ts";`, noImport],
  [
    "commands split by noun import resolvers",
    "services/a/src/commands/cancel.ts",
    `export * from "../resolvers.ts";`,
    noImport,
  ],
  ["commands import consumers", "services/a/src/refund-commands.ts", `export * from "./consumers.ts";`, noImport],
  ["the store uses domain types", "services/a/src/store.ts", `export * from "./order.ts";`, "allowed"],
  ["the store imports commands", "services/a/src/store.ts", `export * from "./commands.ts";`, noImport],
  ["the store imports resolvers", "services/a/src/store.ts", `export * from "./order-resolvers.ts";`, noImport],
  ["the store imports consumers", "services/a/src/store/orders.ts", `export * from "../consumers.ts";`, noImport],
  ["the domain imports domain", "services/a/src/order.ts", `export * from "./totals.ts";`, "allowed"],
  [
    "the domain imports event contracts",
    "services/a/src/order.ts",
    `export * from "@crowdcrunch/events/orders";`,
    "allowed",
  ],
  [
    "the domain throws problems",
    "services/a/src/order.ts",
    `export { problem } from "@crowdcrunch/kit/errors";`,
    "allowed",
  ],
  [
    "the domain names a type of the database",
    "services/a/src/order.ts",
    `export type { Db } from "@crowdcrunch/kit/database";`,
    "allowed",
  ],
  [
    "the domain imports the database",
    "services/a/src/order.ts",
    `export * from "@crowdcrunch/kit/database";`,
    noImport,
  ],
  ["the domain imports its store", "services/a/src/order.ts", `export * from "./store.ts";`, noImport],
  ["the domain imports commands", "services/a/src/order.ts", `export * from "./commands/cancel.ts";`, noImport],
  ["the domain imports a driver", "services/a/src/order.ts", `export * from "pg";`, noImport],
  ["the domain reads files", "services/a/src/order.ts", `export { readFile } from "node:fs/promises";`, noImport],
  ["the domain opens sockets", "services/a/src/order.ts", `export { request } from "node:http";`, noImport],
  ["the domain imports lazily", "services/a/src/order.ts", `export const pg = await import("pg");`, noImport],
  ["the domain fetches", "services/a/src/order.ts", `export const answer = fetch("http://example.org");`, noGlobal],
  ["the domain waits", "services/a/src/order.ts", `setTimeout(() => {}, 1);`, noGlobal],
  ["the domain reads the clock", "services/a/src/order.ts", `export const at = Date.now();`, noProperty],
  ["the domain throws dice", "services/a/src/order.ts", `export const dice = Math.random();`, noProperty],
  ["an adapter speaks HTTP", "services/a/src/adapters/carrier.ts", `export { request } from "node:http";`, "allowed"],
  ["an adapter imports commands", "services/a/src/adapters/carrier.ts", `export * from "../commands.ts";`, noImport],
  ["a service imports the kit", "services/a/src/service.ts", `export * from "@crowdcrunch/kit/service";`, "allowed"],
  [
    "wiring imports another service",
    "services/a/src/service.ts",
    `export * from "@crowdcrunch/orders/service";`,
    noImport,
  ],
  [
    "commands import another service",
    "services/a/src/commands.ts",
    `export * from "@crowdcrunch/orders/service";`,
    noImport,
  ],
  [
    "a consumer imports another service",
    "services/a/src/consumers.ts",
    `export * from "@crowdcrunch/orders/service";`,
    noImport,
  ],
  [
    "the store imports another service",
    "services/a/src/store.ts",
    `export * from "@crowdcrunch/orders/service";`,
    noImport,
  ],
  ["the domain imports another service", "services/a/src/order.ts", `export * from "../../b/src/order.ts";`, noImport],
  [
    "a resolver names another service's type",
    "services/a/src/resolvers.ts",
    `export type * from "../../b/src/order.ts";`,
    noImport,
  ],
  [
    "a service's test imports another service",
    "services/a/test/a.int.test.ts",
    `export * from "@crowdcrunch/orders/service";`,
    noImport,
  ],
  [
    "a service imports the gateway",
    "services/a/src/resolvers.ts",
    `export * from "@crowdcrunch/gateway/service";`,
    noImport,
  ],
  [
    "the kit imports contracts",
    "packages/kit/src/outbox.ts",
    `export * from "@crowdcrunch/events/contract";`,
    "allowed",
  ],
  ["the kit imports a service", "packages/kit/src/outbox.ts", `export * from "@crowdcrunch/orders/service";`, noImport],
  [
    "the kit imports a service by path",
    "packages/kit/src/outbox.ts",
    `export * from "../../../services/a/src/order.ts";`,
    noImport,
  ],
  ["contracts import the kit", "packages/events/src/orders.ts", `export * from "@crowdcrunch/kit/errors";`, noImport],
  ["the gateway imports a service", "gateway/src/main.ts", `export * from "@crowdcrunch/orders/service";`, noImport],
  [
    "the provider imports a service",
    "provider/src/main.ts",
    `export * from "@crowdcrunch/payments/service";`,
    noImport,
  ],
  [
    "the shopper imports a service",
    "packages/shopper/src/a.ts",
    `export * from "@crowdcrunch/users/service";`,
    noImport,
  ],
  ["the shopper imports the kit", "packages/shopper/src/a.ts", `export * from "@crowdcrunch/kit/program";`, "allowed"],
  ["the setup imports a service", "setup/src/main.ts", `export * from "@crowdcrunch/users/service";`, noImport],
  ["the setup imports tools", "setup/src/main.ts", `export * from "@crowdcrunch/tools/secrets";`, noImport],
  ["the setup knows the parts", "setup/src/main.ts", `export * from "@crowdcrunch/shop/parts";`, "allowed"],
  ["the auditor knows the parts", "auditor/src/audit.ts", `export * from "@crowdcrunch/shop/parts";`, "allowed"],
  ["the gateway knows the parts", "gateway/src/config.ts", `export * from "@crowdcrunch/shop/parts";`, "allowed"],
  ["the gateway imports a shopper", "gateway/src/a.ts", `export * from "@crowdcrunch/shopper/client";`, noImport],
  ["the auditor imports a service", "auditor/src/audit.ts", `export * from "@crowdcrunch/orders/service";`, noImport],
  [
    "the configuration reads the environment",
    "packages/kit/src/config.ts",
    `export const a = process.env.A;`,
    "allowed",
  ],
  ["another part of the kit reads it", "packages/kit/src/logger.ts", `export const a = process.env.A;`, noEnvironment],
  ["a service reads it", "services/a/src/commands.ts", `export const a = process.env.A;`, noEnvironment],
  ["a service takes it apart", "services/a/src/main.ts", `export const { env } = process;`, noProperty],
  ["the gateway reads it", "gateway/src/main.ts", `export const a = process.env.A;`, noEnvironment],
  ["the provider reads it", "provider/src/main.ts", `export const a = process.env.A;`, noEnvironment],
  ["the setup reads it", "setup/src/main.ts", `export const a = process.env.A;`, noEnvironment],
  ["the auditor reads it", "auditor/src/main.ts", `export const a = process.env.A;`, noEnvironment],
  [
    "a service forgets a promise",
    "services/a/src/commands.ts",
    `export function go() { Promise.resolve(1); }`,
    "typescript(no-floating-promises)",
  ],
];

describe("the linter guards the borders:", () => {
  const folder = mkdtempSync(join(tmpdir(), "crowdcrunch-borders-"));
  /** Rules that refused a planted file, by the folder of its own in which it stands. */
  const refusals = new Map<string, string[]>();

  beforeAll(() => {
    planted.forEach(([, file, code], index) => {
      const copy = join(folder, String(index));
      mkdirSync(join(copy, dirname(file)), { recursive: true });
      cpSync(join(repositoryRoot, ".oxlintrc.json"), join(copy, ".oxlintrc.json"));
      writeFileSync(join(copy, "tsconfig.json"), `{ "compilerOptions": { "strict": true, "types": [] } }`);
      writeFileSync(join(copy, file), `${code}\n`);
    });
    const { stdout, stderr } = spawnSync(
      process.execPath,
      [join(repositoryRoot, "node_modules/oxlint/bin/oxlint"), "--type-aware", "--format=json"],
      {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, OXLINT_TSGOLINT_PATH: join(repositoryRoot, "node_modules/.bin/tsgolint") },
      },
    );
    expect(stderr).toBe("");
    for (const { filename, code } of (JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] })
      .diagnostics) {
      const index = filename.split("/")[0]!;
      refusals.set(index, [...(refusals.get(index) ?? []), code]);
    }
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(planted.map(([why, file, , verdict], index) => ({ why, file, verdict, index })))(
    "$why ($file): $verdict",
    ({ verdict, index }) => {
      const refused = refusals.get(String(index)) ?? [];
      if (verdict === "allowed") expect(refused).toEqual([]);
      else expect(refused).toContain(verdict);
    },
  );
});
