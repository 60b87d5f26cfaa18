import { join } from "node:path";
import { run } from "@crowdcrunch/tools/cluster/commands";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import { makeScratchCopy } from "@crowdcrunch/tools/scratch";
import { buildImages } from "@crowdcrunch/tools/images/build";
import { chooseBuilder, dockerAnswers } from "@crowdcrunch/tools/images/builder";
import { loadImages } from "@crowdcrunch/tools/images/load";
import { chosenTag, imageParts } from "@crowdcrunch/tools/images/parts";
import { repositoryRoot } from "@crowdcrunch/tools/schemas";
import { applyNextRelease, nextVersion } from "./next-release.ts";
import type { Releases } from "./world.ts";

/**
 * Packages this release, and the next one where it is wanted; builds the images of both and gives them to the cluster,
 * all at once, so that what they share is moved once.
 */
export async function makeReleases(options: {
  cluster: Cluster;
  /** Where the packages go. */
  folder: string;
  /** Whether there is to be a next release. */
  next: boolean;
  say: (sentence: string) => void;
}): Promise<Releases> {
  const { cluster, folder, next, say } = options;
  const tag = chosenTag(undefined);
  const nextTag = nextVersion(tag);
  const builder = chooseBuilder(process.env, await dockerAnswers());
  const parts = imageParts();
  const choice = { parts, nodeImage: process.env.NODE_IMAGE, npmrc: process.env.NPMRC };
  const images = await buildImages(builder, { ...choice, tag }, say);
  const releases = {
    thisRelease: await packageChart(repositoryRoot, folder),
    thisTag: tag,
    nextRelease: "",
    nextTag,
  };
  if (next) {
    const copy = makeScratchCopy();
    try {
      applyNextRelease(copy.root);
      images.push(...(await buildImages(builder, { ...choice, tag: nextTag, root: copy.root }, say)));
      releases.nextRelease = await packageChart(copy.root, folder);
    } finally {
      copy.remove();
    }
  }
  await loadImages(builder, images, cluster.context, say);
  return releases;
}

/** Resolves to the file of the packaged chart. */
async function packageChart(root: string, folder: string): Promise<string> {
  const said = await run("helm", ["package", root, "--destination", folder]);
  const file = /saved it to: (.+\.tgz)/.exec(said)?.[1];
  if (!file) throw new Error(`helm package says nothing of a file: ${said}`);
  return join(file);
}
