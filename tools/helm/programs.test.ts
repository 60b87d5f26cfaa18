import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { helmMissing } from "./availability.ts";
import { helmPrograms, programsMissing } from "./programs.ts";

let folder: string;
let environment: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "helm-"));
  environment = { PATH: `${folder}/bin`, HOME: folder, XDG_CACHE_HOME: `${folder}/cache` };
  mkdirSync(`${folder}/bin`);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program on the PATH that says this whatever it is asked. */
function install(name: string, says: string): void {
  const file = `${folder}/bin/${name}`;
  writeFileSync(file, `#!/bin/sh\necho ${says}\n`);
  chmodSync(file, 0o755);
}

const pinned = (module: string) =>
  new RegExp(`^\\t${module} (v\\S+)`, "m").exec(
    readFileSync(fileURLToPath(new URL("go.mod", import.meta.url)), "utf8"),
  )![1]!;

test("a machine with neither Go nor the programs is told what it lacks", () => {
  expect(programsMissing(environment)).toBe(
    `no helm ${pinned("helm.sh/helm/v4")}, no helm3 ${pinned("helm.sh/helm/v3")}, no kubeconform ${pinned("github.com/yannh/kubeconform")} is here, ` +
      "and there is no Go; it is needed to build helm and kubeconform once (https://go.dev/dl)",
  );
});

test("programs on PATH are taken by their versions, whatever their names, and any patch of them", async () => {
  install("helm", pinned("helm.sh/helm/v3").replace(/\d+$/, "99"));
  install("helm4", pinned("helm.sh/helm/v4"));
  install("kubeconform", pinned("github.com/yannh/kubeconform"));
  expect(programsMissing(environment)).toBeUndefined();
  const told: string[] = [];
  expect(await helmPrograms((sentence) => told.push(sentence), environment)).toEqual({
    helm: "helm4",
    helm3: "helm",
    kubeconform: "kubeconform",
  });
  expect(told).toEqual([]);
  expect(helmMissing(environment)).toMatch(/^the schemas of Kubernetes are not here, and there is no Go/);
});

test("a program of another version counts for nothing", async () => {
  install("helm", "v4.0.1");
  install("helm3", pinned("helm.sh/helm/v3"));
  install("kubeconform", "development");
  expect(programsMissing(environment)).toMatch(/^no helm v\S+, no kubeconform v\S+ is here/);
  await expect(helmPrograms(() => {}, environment)).rejects.toThrow(/^The chart cannot be rendered: no helm v/);
});

test("a Go that fails to build is quoted, and leaves nothing behind", async () => {
  install("helm3", pinned("helm.sh/helm/v3"));
  install("kubeconform", pinned("github.com/yannh/kubeconform"));
  writeFileSync(
    `${folder}/bin/go`,
    '#!/bin/sh\n[ "$1" = version ] && exit 0\necho "no route to the proxy" >&2\nexit 1\n',
  );
  chmodSync(`${folder}/bin/go`, 0o755);
  await expect(helmPrograms(() => {}, environment)).rejects.toThrow(
    `Go could not build helm ${pinned("helm.sh/helm/v4")}: no route to the proxy`,
  );
  expect(helmMissing(environment)).toBeUndefined();
});
