import { renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Where all checkouts of a user keep what was fetched or built once, e.g. ~/.cache/crowdcrunch/kafka-4.3.1. */
export function cacheFolder(environment: NodeJS.ProcessEnv, name: string): string {
  return join(environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), ".cache"), "crowdcrunch", name);
}

/** Gives a finished file or folder its name, unless somebody else was faster. */
export function moveInto(made: string, place: string): void {
  try {
    renameSync(made, place);
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
