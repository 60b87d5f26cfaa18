/**
 * `make test-cluster`: installs the shop in a cluster on this machine and looks at what it promises there. CHECKS=install,hpa
 * runs some of list.ts (the first one is always needed); KEEP=1 leaves the shop installed. Uses the cluster of the current
 * kube-context where it is on this machine, else the one that the command in CLUSTER_UP brings up. Prints a line for each
 * check, and "N passed, N failed" last; exits with 1 unless all have passed.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem, main, shopPlace } from "@crowdcrunch/tools/environment";
import { chooseCluster } from "./cluster-choice.ts";
import type { Check } from "./check.ts";
import { checks } from "./list.ts";
import { makeReleases } from "./releases.ts";
import { tableOf } from "./working-set.ts";
import { until } from "./world.ts";
import type { World } from "./world.ts";
import type { Shop } from "./shop.ts";

/** All of it, from when the cluster is there, images included. */
const deadlineMinutes = 30;
/** So much of that is kept for removing what was made. */
const cleanUpSeconds = 60;

function chosen(): Check[] {
  const wanted = (process.env.CHECKS ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
  const unknown = wanted.filter((name) => !checks.some((check) => check.name === name));
  if (unknown.length > 0)
    throw new Problem(
      `There is no check ${unknown.join(", ")}; there are:\n${checks.map(({ name, shows }) => `  ${name.padEnd(18)} ${shows}`).join("\n")}`,
    );
  return checks.filter(({ name }) => wanted.length === 0 || name === "install" || wanted.includes(name));
}

/** Ends with what the work does, or throws when its time is over. */
async function within<Result>(work: () => Promise<Result>, seconds: number): Promise<Result> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`it did not end within ${Math.round(seconds)} s`)),
    seconds * 1_000,
  );
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

await main(async () => {
  const selected = chosen();
  const keep = process.env.KEEP === "1";
  const folder = join(shopPlace().varDir, "cluster");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });

  const { cluster, mesh } = await chooseCluster();
  const endsAtMs = performance.now() + deadlineMinutes * 60_000;
  const secondsLeft = () => (endsAtMs - performance.now()) / 1_000 - cleanUpSeconds;
  const [passed, failed]: [string[], string[]] = [[], []];
  const namespaces = new Set<string>();
  let shop: Shop | undefined;

  const line = (mark: string, name: string, tookMs: number, text: string) => {
    const [first, ...rest] = text.split("\n");
    console.log(`${mark.padEnd(5)} ${name.padEnd(18)} ${(tookMs / 1_000).toFixed(1).padStart(6)} s  ${first}`);
    for (const more of rest) console.log(`      ${more}`);
  };

  async function removeNamespace(name: string): Promise<void> {
    await cluster.kubectl(["delete", "namespace", name, "--ignore-not-found", "--timeout=120s"], {
      timeoutMs: 130_000,
    });
    namespaces.delete(name);
  }
  async function cleanUp(): Promise<void> {
    await shop?.close();
    if (!keep) await Promise.all([...namespaces].map(removeNamespace));
  }
  const interrupted = () => void cleanUp().finally(() => process.exit(130));
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);

  const worldSince = (beganMs: number, releases: World["releases"]): World => ({
    ...{ cluster, mesh, releases, until, driverLog: join(folder, "acknowledged.jsonl") },
    get shop() {
      if (!shop) throw new Error("the shop is not installed");
      return shop;
    },
    open(opened) {
      shop = opened;
    },
    async makeNamespace(name, labels) {
      // What an earlier run that was killed has left.
      await removeNamespace(name);
      namespaces.add(name);
      await cluster.kubectl(["create", "namespace", name]);
      const pairs = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
      if (pairs.length > 0) await cluster.kubectl(["label", "namespace", name, ...pairs]);
    },
    removeNamespace,
    say: (sentence) => {
      if (process.env.QUIET !== "1")
        console.log(`      ${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6)} s  ${sentence}`);
    },
  });

  try {
    const beganMs = performance.now();
    const releases = await makeReleases({
      ...{ cluster, folder, say: console.log },
      next: selected.some(({ name }) => name === "upgrade"),
    });
    line("", "images", performance.now() - beganMs, `${releases.thisTag} built and loaded`);
    for (const check of selected) {
      if (check.needs === "mesh" && !mesh) {
        line("-", check.name, 0, `NOT RUN: there is no Istio in the cluster · ${check.shows}`);
        continue;
      }
      const seconds = Math.min(check.seconds, secondsLeft());
      const checkBeganMs = performance.now();
      const took = () => performance.now() - checkBeganMs;
      try {
        if (seconds <= 0) throw new Error(`not run: the ${deadlineMinutes} minutes are over`);
        const seen = await within(() => check.run(worldSince(checkBeganMs, releases)), seconds);
        line("ok", check.name, took(), seen);
        passed.push(check.name);
      } catch (error) {
        line("FAIL", check.name, took(), `${check.shows}: ${(error as Error).message}`);
        writeFileSync(join(folder, `${check.name}.txt`), String((error as Error).stack));
        failed.push(check.name);
        shop?.stopLoads();
        if (check.name === "install") break;
      }
    }
  } finally {
    await within(cleanUp, 150).catch((error: Error) =>
      console.log(`What was made could not be removed: ${error.message}`),
    );
  }
  for (const text of tableOf()) console.log(text);
  console.log(`${passed.length} passed, ${failed.length} failed`);
  // What a check that was given up still does is not waited for.
  process.exit(failed.length === 0 ? 0 : 1);
});
