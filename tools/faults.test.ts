import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { faultPoints } from "@crowdcrunch/kit/fault-points";
import { describe, expect, test } from "vitest";
import { chosenFaults } from "./fault-choice.ts";
import { repositoryRoot } from "./schemas.ts";

const page = readFileSync(join(repositoryRoot, "docs/faults.md"), "utf8");

describe("docs/faults.md", () => {
  test("has every point with its actions, and no other", () => {
    const rows = [...page.matchAll(/^\| `([a-z-]+\.[a-z-]+)` \| (.*?) \|$/gm)].map(([, point, actions]) => [
      point,
      actions!.replaceAll("`", "").split(" "),
    ]);
    expect(rows).toEqual(Object.entries(faultPoints).map(([point, { actions }]) => [point, actions]));
  });

  test("explains every action", () => {
    const explained = [...page.matchAll(/^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|/gm)].flatMap(([, names]) =>
      names!.replaceAll("`", "").split(", "),
    );
    const actions = new Set(Object.values(faultPoints).flatMap((point) => point.actions));
    expect([...actions].filter((action) => !explained.includes(action))).toEqual([]);
  });
});

test("README.md says of every point when it fires and what to look at", () => {
  const readme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([a-z-]+\.[a-z-]+)` \| (.*) \| (.*) \|$/gm)].map((row) => row.slice(1));
  expect(rows).toEqual(Object.entries(faultPoints).map(([point, { place, lookAt }]) => [point, place, lookAt]));
});

test("every point is passed somewhere", () => {
  const sources = ["packages/kit/src", "services/payments/src/adapters", "provider/src", "gateway/src"];
  const placed = new Set(sources.flatMap(pointsPassedIn));
  expect([...placed].sort()).toEqual(Object.keys(faultPoints).sort());
});

function pointsPassedIn(folder: string): string[] {
  const files = globSync(`${folder}/**/*.ts`, { cwd: repositoryRoot }).filter((file) => !file.endsWith(".test.ts"));
  return files.flatMap((file) =>
    [...readFileSync(join(repositoryRoot, file), "utf8").matchAll(/\.at\("([a-z.-]+)"/g)].map(([, point]) => point!),
  );
}

describe("FAULTS of make up", () => {
  test("1 lets faults be set; settings are for all from the start on", () => {
    expect(chosenFaults({})).toEqual({});
    expect(chosenFaults({ FAULTS: "0" })).toEqual({});
    expect(chosenFaults({ FAULTS: "1" })).toEqual({ FAULT_INJECTION: "true", FAULTS: "" });
    const FAULTS = "graphql.request:delay:delayMs=300";
    expect(chosenFaults({ FAULTS })).toEqual({ FAULT_INJECTION: "true", FAULTS });
  });

  test("what is wrong with it is named", () => {
    expect(() => chosenFaults({ FAULTS: "yes;graphql.request:burn" })).toThrow(/"yes" is not .*\n.*no such action/);
  });
});
