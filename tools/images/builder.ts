/** The program that builds images: docker, or one that does the same for a cluster with images of its own. */
import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../environment.ts";
import { run } from "../cluster/commands.ts";

export interface Builder {
  /** As people are told. */
  name: string;
  /** The program and its arguments that build an image from a folder; `options` are those of `docker build`. */
  build(image: string, folder: string, options: string[]): [string, ...string[]];
  /** Those that give images to the builder's own cluster; undefined where it has none. */
  load?: (images: string[]) => [string, ...string[]];
}

const docker: Builder = {
  name: "docker",
  build: (image, folder, options) => ["docker", "build", "--tag", image, ...options, folder],
};

/**
 * IMAGE_BUILDER where it is set, else docker where its daemon answers, else the program `image` beside CLUSTER_UP. Such a
 * program is called with `--build NAME:TAG FOLDER [options of docker build]` and `--load NAME:TAG …`. Throws a Problem
 * that says what to install where there is none of these.
 */
export function chooseBuilder(environment: NodeJS.ProcessEnv, dockerAnswers: boolean): Builder {
  const program = environment.IMAGE_BUILDER;
  if (program) return builderOfCluster(program);
  if (dockerAnswers) return docker;
  const beside = environment.CLUSTER_UP && builderBeside(environment.CLUSTER_UP);
  if (beside) return builderOfCluster(beside);
  throw new Problem(
    "Images are built by docker, and no daemon of it answers: start Docker Desktop or the docker service " +
      "(https://docs.docker.com/get-docker/), or name another builder with IMAGE_BUILDER (docs/operations.md).",
  );
}

/** The builder that belongs to the cluster which the command CLUSTER_UP starts; undefined where it brings none. */
export function builderBeside(clusterUp: string): string | undefined {
  const program = join(dirname(clusterUp), "image");
  try {
    accessSync(program, constants.X_OK);
    return program;
  } catch {
    return undefined;
  }
}

/** True where there is docker and its daemon answers. */
export async function dockerAnswers(): Promise<boolean> {
  return run("docker", ["version", "--format", "{{.Server.Version}}"], { timeoutMs: 20_000 }).then(
    () => true,
    () => false,
  );
}

function builderOfCluster(program: string): Builder {
  return {
    name: program,
    build: (image, folder, options) => [program, "--build", image, folder, ...options],
    load: (images) => [program, "--load", ...images],
  };
}
