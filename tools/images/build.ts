import { join } from "node:path";
import { Problem } from "../environment.ts";
import { CommandFailure, run } from "../cluster/commands.ts";
import { repositoryRoot } from "../schemas.ts";
import type { Builder } from "./builder.ts";
import { findOrigin } from "./origin.ts";
import type { Origin } from "./origin.ts";
import { imageName } from "./parts.ts";
import type { Part } from "./parts.ts";

export interface ImageChoice {
  parts: Part[];
  tag: string;
  /** The image that they stand on, in place of the one that the Dockerfile names. */
  nodeImage?: string | undefined;
  /** A file with npm's settings for the installation in the image, where packages are not taken from npm's registry. */
  npmrc?: string | undefined;
  /** The project's root, where it is a copy of this one. */
  root?: string | undefined;
}

const shownLines = 30;
/** The first image takes the longest: it installs what all share. */
const buildTimeoutMs = 30 * 60_000;

/**
 * Builds the images one after the other and resolves to their names. Throws a Problem with the builder's last words and
 * the ways out.
 */
export async function buildImages(
  builder: Builder,
  choice: ImageChoice,
  say: (sentence: string) => void,
): Promise<string[]> {
  const { parts, tag, root = repositoryRoot } = choice;
  const origin = await findOrigin(root);
  const images: string[] = [];
  say(`Building ${parts.length} images with ${builder.name}; the first takes minutes where nothing is installed yet.`);
  for (const part of parts) {
    const image = imageName(part, tag);
    const startedAt = performance.now();
    const [program, ...args] = builder.build(image, root, buildOptions(part, choice, origin));
    await run(program, args, {
      timeoutMs: buildTimeoutMs,
      // Docker before 23 has BuildKit, which the Dockerfile needs, and has to be told to use it.
      env: { ...process.env, DOCKER_BUILDKIT: "1" },
    }).catch((error: Error) => {
      throw new Problem(whyNotBuilt(image, builder, error));
    });
    images.push(image);
    say(`  ${image} (${images.length} of ${parts.length}), ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
  return images;
}

/** What `docker build` is told beside the image's name and the folder. */
export function buildOptions(part: Part, choice: ImageChoice, origin: Origin): string[] {
  const values = {
    PART: part.folder,
    VERSION: choice.tag,
    REVISION: origin.revision,
    SOURCE: origin.source,
    CREATED: origin.created,
    ...(choice.nodeImage ? { NODE_IMAGE: choice.nodeImage } : {}),
  };
  return [
    ...["--file", join(choice.root ?? repositoryRoot, "docker/Dockerfile")],
    ...Object.entries(values).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...(choice.npmrc ? ["--secret", `id=npmrc,src=${choice.npmrc}`] : []),
  ];
}

function whyNotBuilt(image: string, builder: Builder, error: Error): string {
  const said = error instanceof CommandFailure ? error.output.trim().split("\n").slice(-shownLines).join("\n") : "";
  return [
    `${builder.name} could not build ${image}:`,
    said || error.message,
    "Where it cannot have the base image, name one that it has: make images NODE_IMAGE=node:24.",
    "Where it cannot reach npm's registry, give it npm's settings for another: make images NPMRC=$HOME/.npmrc.",
  ].join("\n");
}
