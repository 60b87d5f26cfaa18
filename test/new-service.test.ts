import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { helmMissing } from "@crowdcrunch/tools/helm/availability";
import { helmPrograms } from "@crowdcrunch/tools/helm/programs";
import { makeScratchCopy } from "@crowdcrunch/tools/scratch";
import type { ScratchCopy } from "@crowdcrunch/tools/scratch";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";

// What `make new-service` makes, in a copy of the project; and that nothing of it is left by `make delete-service`.

const name = "reviews";
let copy: ScratchCopy;

beforeAll(() => {
  copy = makeScratchCopy({ installed: false });
  run("git", ["init", "--quiet"]);
  run("git", ["add", "--all"]);
  run("git", ["-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message=All of it"]);
});
afterAll(() => copy?.remove());

/** What a program of the copy says; throws with it where the program fails. */
function run(command: string, commandArguments: string[], more: { fails?: boolean } = {}): string {
  // What Vitest tells its workers is not for the tests that run in the copy.
  const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith("VITEST")));
  const { status, stdout, stderr } = spawnSync(command, commandArguments, { cwd: copy.root, encoding: "utf8", env });
  const output = `${stdout}${stderr}`;
  if ((status === 0) === (more.fails ?? false)) throw new Error(`${commandArguments.join(" ")}:\n${output}`);
  return output;
}

const node = (...commandArguments: string[]) => run(process.execPath, commandArguments);
const read = (file: string) => readFileSync(join(copy.root, file), "utf8");
const changes = () => run("git", ["status", "--porcelain"]);

test("an installation that fails leaves all as it was", () => {
  run("make", ["install"]);
  const said = run("make", ["PNPM=false", "new-service", `NAME=${name}`], { fails: true });
  expect(said).toContain("false install --no-frozen-lockfile failed, and everything is as it was");
  expect(changes()).toBe("");
});

test("a service is begun by one command", () => {
  expect(run("make", ["new-service", `NAME=${name}`])).toContain("reviews is in the graph (review, createReview)");
});

test("it is formatted, has no finding of the linter, and its types are right", () => {
  node("node_modules/oxfmt/bin/oxfmt", "--check");
  node("node_modules/oxlint/bin/oxlint", "--type-aware", `services/${name}`);
  node("node_modules/typescript/bin/tsc", "-p", "tsconfig.json");
});

test("its tests pass, and so do those of what must agree", () => {
  const files = [`services/${name}`, "test/facts.unit.test.ts", "test/readme.unit.test.ts", "tools/callers.test.ts"];
  const report = "node_modules/.tests.json";
  node("node_modules/vitest/vitest.mjs", "run", ...files, "--reporter=json", `--outputFile=${report}`);
  const { testResults } = JSON.parse(read(report)) as { testResults: { name: string; status: string }[] };
  expect(testResults.map(({ status }) => status)).toEqual(["passed", "passed", "passed", "passed"]);
});

test("it is in the graph, and the gateway may call it", () => {
  const graph = read("gateway/supergraph.graphql");
  expect(graph).toContain(`REVIEWS @join__graph(name: "${name}"`);
  expect(graph).toMatch(/review\([^]*?id: ID!\s*\): Review @join__field\(graph: REVIEWS\)/);
  expect(read("callers.yaml")).toContain(`- from: gateway\n    to: ${name}\n`);
});

test.skipIf(helmMissing() !== undefined)("it is in the rendered chart", async () => {
  const { helm } = await helmPrograms(console.log);
  const objects = parseAllDocuments(run(helm, ["template", "shop", ".", "--set", "istio.enabled=true"]))
    .map((document) => document.toJS() as { kind: string; metadata: { name: string } } | null)
    .filter((object) => object !== null);
  const kinds = objects.filter(({ metadata }) => metadata.name === name).map(({ kind }) => kind);
  expect(kinds).toEqual(
    expect.arrayContaining(["Deployment", "Service", "ServiceAccount", "NetworkPolicy", "AuthorizationPolicy"]),
  );
});

test("a service that others need is not deleted", () => {
  const said = run("make", ["delete-service", "NAME=orders"], { fails: true });
  expect(said).toContain("orders is needed by packages/events/src/orders.ts");
  expect(existsSync(join(copy.root, "services/orders/src/main.ts"))).toBe(true);
});

test("deleting it leaves a clean tree", () => {
  expect(changes()).not.toBe("");
  expect(run("make", ["delete-service", `NAME=${name}`])).toContain("reviews is gone from the project");
  expect(changes()).toBe("");
});
