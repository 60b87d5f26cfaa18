import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "./environment.ts";
import { repositoryRoot } from "./schemas.ts";

/**
 * Brings a committed file to this text and says so; with --check on the command line it writes nothing. Throws a Problem
 * with `target`, the target of make that writes it, where the file is then stale.
 */
export function keepFresh(file: string, text: string, target: string): void {
  const path = join(repositoryRoot, file);
  if (existsSync(path) && readFileSync(path, "utf8") === text) {
    console.log(`${file} is up to date.`);
    return;
  }
  if (process.argv.includes("--check")) throw new Problem(`${file} is stale: run make ${target} and commit it.`);
  writeFileSync(path, text);
  console.log(`${file} written.`);
}
