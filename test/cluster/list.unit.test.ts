import { globSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { makeScratchCopy } from "@crowdcrunch/tools/scratch";
import { run } from "@crowdcrunch/tools/cluster/commands";
import { checks } from "./list.ts";
import { applyNextRelease, nextRelease } from "./next-release.ts";

test("every file in checks/ is in the list, under its name", () => {
  const files = globSync("*.ts", { cwd: fileURLToPath(new URL("checks/", import.meta.url)) });
  expect(checks.map(({ name }) => name).sort()).toEqual(files.map((file) => basename(file, ".ts")).sort());
});

test("the shop is installed before anything is looked at, and reinstalled after it was taken away", () => {
  const names = checks.map(({ name }) => name);
  expect(names[0]).toBe("install");
  expect(names.indexOf("reinstall")).toBe(names.indexOf("uninstall") + 1);
});

test("the next release fits the code of this one", { timeout: 180_000 }, async () => {
  const copy = makeScratchCopy();
  try {
    applyNextRelease(copy.root);
    const files = [...new Set(nextRelease.map(({ file }) => file))].filter((file) => file.endsWith(".ts"));
    // What is generated is not in the copy, and none of these files needs it.
    const project = `${copy.root}/tsconfig.next.json`;
    writeFileSync(project, JSON.stringify({ extends: "./tsconfig.json", include: [], files }));
    await run(process.execPath, [`${copy.root}/node_modules/typescript/bin/tsc`, "-p", project], {
      timeoutMs: 170_000,
    });
  } finally {
    copy.remove();
  }
});
