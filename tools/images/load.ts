/** Gives images to a cluster on this machine, which could not pull them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CommandFailure, run } from "../cluster/commands.ts";
import { Problem } from "../environment.ts";
import type { Builder } from "./builder.ts";

/** How images come from where they were built into a cluster. */
export type Way =
  /** The cluster runs containers from where docker keeps its images. */
  | { kind: "shared" }
  /** A program takes their names. */
  | { kind: "names"; command: [string, ...string[]] }
  /** A program takes a file that docker saved them all in, so that shared layers are moved once. */
  | { kind: "file"; command: (file: string) => [string, ...string[]] }
  /** The cluster takes images from a registry alone. */
  | { kind: "registry" };

/** Contexts of clusters that share docker's images. */
const sharing = /^(docker-desktop|docker-for-desktop|rancher-desktop|orbstack|colima)$/;
const loadTimeoutMs = 20 * 60_000;

/** How a cluster gets images, by its kube-context; a builder that belongs to a cluster loads into that one. */
export function wayInto(context: string, builder: Builder, images: string[], environment: NodeJS.ProcessEnv): Way {
  if (builder.load) return { kind: "names", command: builder.load(images) };
  if (sharing.test(context)) return { kind: "shared" };
  if (context.startsWith("kind-"))
    return {
      kind: "names",
      command: ["kind", "load", "docker-image", "--name", context.slice("kind-".length), ...images],
    };
  if (context.startsWith("k3d-"))
    return {
      kind: "names",
      command: ["k3d", "image", "import", "--cluster", context.slice("k3d-".length), ...images],
    };
  if (context === "minikube") {
    // After `eval $(minikube docker-env)` docker has built them inside.
    if (environment.MINIKUBE_ACTIVE_DOCKERD === context) return { kind: "shared" };
    return { kind: "file", command: (file) => ["minikube", "image", "load", "--profile", context, file] };
  }
  return { kind: "registry" };
}

/**
 * Gives the images to the cluster of this kube-context. Resolves when it has them all. Throws a Problem where it takes
 * images from a registry alone, and where the program that loads them is missing or fails.
 */
export async function loadImages(
  builder: Builder,
  images: string[],
  context: string,
  say: (sentence: string) => void,
): Promise<void> {
  const way = wayInto(context, builder, images, process.env);
  if (way.kind === "registry")
    throw new Problem(
      `The cluster ${context} takes images from a registry alone: make publish REGISTRY=…, and install with ` +
        "--set image.registry=….",
    );
  if (way.kind === "shared") return say(`The cluster ${context} runs images from where docker has them.`);
  const startedAt = performance.now();
  say(`Loading ${images.length} images into the cluster ${context} …`);
  await (way.kind === "names" ? load(way.command) : loadFile(images, way.command));
  say(`  loaded, ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

async function loadFile(images: string[], command: (file: string) => [string, ...string[]]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "crowdcrunch-images-"));
  try {
    const file = join(folder, "images.tar");
    await load(["docker", "save", "--output", file, ...images]);
    await load(command(file));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function load([program, ...args]: [string, ...string[]]): Promise<void> {
  await run(program, args, { timeoutMs: loadTimeoutMs }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT")
      throw new Problem(`${program} is missing, by which images come into the cluster: install it.`);
    throw error instanceof CommandFailure ? new Problem(`The images are not in the cluster: ${error.message}`) : error;
  });
}
