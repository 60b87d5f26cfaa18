import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { repositoryRoot, serviceNames } from "@crowdcrunch/tools/schemas";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { profiles } from "./matrix.ts";
import { helm, render } from "./render.ts";

// The repository's root is the chart: without a .helmignore that holds, helm would carry all of it into each release.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "chart-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const { version } = parse(readFileSync(join(repositoryRoot, "Chart.yaml"), "utf8")) as { version: string };
const oneMiB = 2 ** 20;

async function packaged(): Promise<string> {
  await helm("helm", ["package", ".", "--destination", folder]);
  return join(folder, `crowdcrunch-${version}.tgz`);
}

describe("the packaged chart", () => {
  test("has what belongs to it and nothing else", async () => {
    const files = namesInTar(gunzipSync(readFileSync(await packaged()))).map((name) =>
      name.replace("crowdcrunch/", ""),
    );
    const strays = files.filter(
      (name) =>
        !/^(charts|templates)\/|^(Chart|values(-\w+)?|callers)\.yaml$|^values\.schema\.json$|^LICENSE$/.test(name),
    );
    expect(strays, "name these in .helmignore, or here").toEqual([]);
    for (const part of serviceNames()) expect(files).toContain(`charts/${part}/Chart.yaml`);
    expect(files).toContain("callers.yaml");
  });

  test("renders the same as the repository", async () => {
    const file = await packaged();
    const options = ["--namespace", "shop", "--kube-version", "1.33.0"];
    const [fromPackage, { text }] = await Promise.all([
      helm("helm", ["template", "crowdcrunch", file, ...options]),
      render(),
    ]);
    expect(fromPackage).toBe(text);
  });
});

test.each(profiles)("a release of the profile $name fits into its Secret", async ({ files, values = {} }) => {
  const named = files.flatMap((file) => ["--values", file]);
  const options = ["--namespace", "shop", "--dry-run=client", "--output", "json", ...named, "--values", "-"];
  const input = JSON.stringify({ ...values, istio: { enabled: true } });
  const record = await helm("helm", ["install", "crowdcrunch", ".", ...options], input);
  // As helm stores it: packed, and spelled in base64. Secrets are of 1 MiB at most.
  const stored = gzipSync(record.trim(), { level: 9 }).toString("base64").length;
  console.log(`A release of the profile takes ${Math.round(stored / 1024)} KiB of 1024.`);
  expect(stored).toBeGreaterThan(10_000);
  expect(stored).toBeLessThan(oneMiB);
});

/** Names of files in a tar of short names, as helm packs it: blocks of 512 bytes. */
function namesInTar(tar: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < tar.length && tar[at] !== 0;) {
    names.push(tar.toString("utf8", at, at + 100).replace(/\0.*$/s, ""));
    const size = Number.parseInt(tar.toString("utf8", at + 124, at + 136), 8);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return names;
}
