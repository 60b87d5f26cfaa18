/** `make images`: builds the images of all parts, or of some, and loads them into a cluster on this machine. */
import { currentCluster } from "./cluster/cluster.ts";
import { main } from "./environment.ts";
import { buildImages } from "./images/build.ts";
import { chooseBuilder, dockerAnswers } from "./images/builder.ts";
import { loadImages, wayInto } from "./images/load.ts";
import { chosenParts, chosenTag } from "./images/parts.ts";

await main(async () => {
  const { PARTS, TAG, NODE_IMAGE, NPMRC } = process.env;
  const choice = { parts: chosenParts(PARTS), tag: chosenTag(TAG), nodeImage: NODE_IMAGE, npmrc: NPMRC };
  const builder = chooseBuilder(process.env, await dockerAnswers());
  const images = await buildImages(builder, choice, console.log);
  const context = (await currentCluster())?.context;
  if (context === undefined && !builder.load)
    return console.log("kubectl has no current context: no cluster has them yet.");
  if (wayInto(context ?? "", builder, images, process.env).kind === "registry")
    return console.log(`The cluster ${context} takes images from a registry: make publish REGISTRY=….`);
  await loadImages(builder, images, context ?? builder.name, console.log);
});
