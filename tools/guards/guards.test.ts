import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { repositoryRoot } from "../schemas.ts";
import { guards } from "./guards.ts";

describe("the list of guards", () => {
  test.each(guards)("$name stands once in $file, and its tests exist", ({ file, find, tests }) => {
    expect(readFileSync(join(repositoryRoot, file), "utf8").split(find)).toHaveLength(2);
    expect(tests.filter((path) => !existsSync(join(repositoryRoot, path)))).toEqual([]);
  });

  test("has each name once", () => {
    expect(new Set(guards.map(({ name }) => name)).size).toBe(guards.length);
  });
});
