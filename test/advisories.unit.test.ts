import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { expect, test } from "vitest";

/** Failures of other shops and of this stack: each is tried here by a test that has its name. */
const advisories = [
  "Saleor CVE-2026-33756",
  "Saleor CVE-2026-35401",
  "Saleor CVE-2026-35407",
  "Saleor CVE-2026-39851",
  "Vendure CVE-2026-25050",
  "Vendure CVE-2026-40887",
  "GHSA-wm63-7627-ch33",
  "Shopware CVE-2026-48016",
  "Vvveb CVE-2026-44826",
  "Shopper CVE-2026-47741",
  "Apollo GHSA-pfjj",
  "GHSA-9q82",
  "graphql-armor GHSA-224p",
  "Vendure #3508",
  "Saleor #12652",
  "Medusa #16825",
];

/** Tests that share the whole shop are beside the one that starts it. */
const folders = ["{packages,services,gateway,provider,test}/**/*.int.test.ts", "test/e2e/*.ts"];
const tests = globSync(folders, { cwd: repositoryRoot, exclude: (name) => name.includes("node_modules") }).map((file) =>
  readFileSync(join(repositoryRoot, file), "utf8"),
);

test.each(advisories)("%s has a test of its name", (advisory) => {
  expect(tests.some((text) => text.includes(`(${advisory})`))).toBe(true);
});
