/**
 * `make helm-install`: installs the shop in the cluster of the current kube-context, or upgrades it there. Builds the
 * images and gives them to the cluster, waits, and says meanwhile what it waits for. NAMESPACE (crowdcrunch), PROFILE=min
 * or production, VALUES with files of values, separated by commas; ISTIO=0 keeps it out of a mesh that is there.
 */
import { existsSync } from "node:fs";
import { findCluster } from "./cluster/cluster.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { CommandFailure } from "./cluster/commands.ts";
import { hasIstio } from "./cluster/istio.ts";
import { untilRolledOut } from "./cluster/rollout.ts";
import type { Progress } from "./cluster/rollout.ts";
import { Problem, main } from "./environment.ts";
import { buildImages } from "./images/build.ts";
import { chooseBuilder, dockerAnswers } from "./images/builder.ts";
import { loadImages } from "./images/load.ts";
import { chosenTag, imageParts } from "./images/parts.ts";
import { repositoryRoot } from "./schemas.ts";

const release = "crowdcrunch";
const rolloutMinutes = 10;

/** The files of values that PROFILE and VALUES name, the later ones over the earlier. */
function valueFiles({ PROFILE: profile, VALUES: values = "" }: NodeJS.ProcessEnv): string[] {
  const own = profile ? [`${repositoryRoot}values-${profile}.yaml`] : [];
  if (own.some((file) => !existsSync(file)))
    throw new Problem(`There is no profile "${profile}": it is min or production.`);
  const given = values
    .split(",")
    .map((file) => file.trim())
    .filter(Boolean);
  const missing = given.find((file) => !existsSync(file));
  if (missing) throw new Problem(`VALUES names ${missing}, and there is no such file.`);
  return [...own, ...given];
}

/** Prints each pod's reason when it changes. */
function reasonPrinter(): (progress: Progress) => void {
  const said = new Map<string, string>();
  let counted = "";
  return ({ ready, wanted, unready }) => {
    const count = `${ready} of ${wanted} ready`;
    if (count !== counted) console.log(`  ${count}`);
    counted = count;
    for (const { name, why } of unready) {
      if (said.get(name) !== why) console.log(`    ${name} ${why}`);
      said.set(name, why);
    }
  };
}

/** Builds the images of this checkout and gives them to the cluster. */
async function bringImages(cluster: Cluster): Promise<void> {
  const builder = chooseBuilder(process.env, await dockerAnswers());
  const { NODE_IMAGE: nodeImage, NPMRC: npmrc } = process.env;
  const images = await buildImages(
    builder,
    { parts: imageParts(), tag: chosenTag(undefined), nodeImage, npmrc },
    console.log,
  );
  await loadImages(builder, images, cluster.context, console.log);
}

await main(async () => {
  const startedAt = performance.now();
  const namespace = process.env.NAMESPACE || release;
  const values = valueFiles(process.env).flatMap((file) => ["--values", file]);
  const cluster = await findCluster();
  console.log(`The cluster is ${cluster.context} (${cluster.server}).`);
  const mesh = process.env.ISTIO !== "0" && (await hasIstio(cluster));
  if (mesh) console.log("Istio runs in it: the shop becomes a part of the mesh (ISTIO=0 keeps it out).");
  await bringImages(cluster);

  console.log(`Installing ${release} in the namespace ${namespace} …`);
  const settings = [...(mesh ? ["--set", "istio.enabled=true"] : []), ...values];
  const place = ["--namespace", namespace];
  await cluster
    .helm(["upgrade", "--install", release, repositoryRoot, ...place, "--create-namespace", ...settings])
    .catch((error: Error) => {
      throw error instanceof CommandFailure ? new Problem(`helm refuses: ${error.output.trim()}`) : error;
    });
  await untilRolledOut(cluster, namespace, {
    selector: `app.kubernetes.io/instance=${release}`,
    progress: reasonPrinter(),
    timeoutMs: rolloutMinutes * 60_000,
  }).catch((error: Error) => {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(
      `${error.message}\nWhat stands in the way: kubectl -n ${namespace} describe pod <name>, kubectl -n ${namespace} ` +
        "logs deploy/<name>, and docs/operations.md (It does not start). Calling this again goes on from here.",
    );
  });
  console.log(`\nThe shop is up, after ${((performance.now() - startedAt) / 1000).toFixed(0)} s.\n`);
  console.log((await cluster.helm(["get", "notes", release, ...place])).trim());
});
