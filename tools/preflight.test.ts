import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shopPlace } from "./environment.ts";
import { checkFolder, checkNode, closedFolderAbove } from "./preflight.ts";

test("another Node is named with the way out", () => {
  expect(() => checkNode("20.20.2")).toThrow("This is Node 20.20.2; the shop needs Node 24");
  expect(() => checkNode()).not.toThrow();
});

test("a full disk and a folder without rights are each a sentence", () => {
  const folder = mkdtempSync(join(tmpdir(), "crowdcrunch-preflight-"));
  expect(() => checkFolder(folder, () => 12)).toThrow(`The disk of ${folder} has 12 MB left and the shop needs 500`);
  expect(() => checkFolder(join(folder, "var"))).not.toThrow();
  // Root may write everywhere, but nobody below a file.
  writeFileSync(join(folder, "file"), "");
  expect(() => checkFolder(join(folder, "file/var"))).toThrow(
    /^The folder .* cannot be written \(ENOTDIR.*CROWDCRUNCH_VAR/,
  );
  rmSync(folder, { recursive: true });
});

test("the outermost closed folder above a path is found", () => {
  expect(closedFolderAbove("/tmp/a/b", () => true)).toBeUndefined();
  expect(closedFolderAbove("/tmp/a/b", (folder) => folder !== "/tmp")).toBe("/tmp");
});

test("the place of a shop comes from two variables", () => {
  expect(shopPlace({})).toMatchObject({ varDir: expect.stringMatching(/\/var$/), portOffset: 0 });
  expect(shopPlace({ CROWDCRUNCH_VAR: "/tmp/x", PORT_OFFSET: "1000" })).toEqual({ varDir: "/tmp/x", portOffset: 1000 });
  expect(() => shopPlace({ PORT_OFFSET: "many" })).toThrow('PORT_OFFSET is "many"; it must be a whole number');
});
