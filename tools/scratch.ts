/** A copy of the project that can be changed without touching the project itself. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { repositoryRoot } from "./schemas.ts";

export interface ScratchCopy {
  root: string;
  /** Writes a file of the copy; resolves to what puts the former text back. */
  overwrite(file: string, text: string): () => void;
  remove(): void;
}

/**
 * Copies what git knows of, with links to the installed packages. Those between the parts lead within the copy. Without
 * `installed` it is as a fresh clone.
 */
export function makeScratchCopy({ installed = true } = {}): ScratchCopy {
  const root = mkdtempSync(join(tmpdir(), "crowdcrunch-copy-"));
  // Postgres, which does not run as root, is among what is installed there.
  chmodSync(root, 0o755);
  const files = listFiles();
  for (const file of files) {
    const from = join(repositoryRoot, file);
    if (!existsSync(from)) continue;
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(from, join(root, file));
  }
  if (installed) linkPackages(root, files);
  return {
    root,
    overwrite(file, text) {
      const path = join(root, file);
      const former = readFileSync(path, "utf8");
      writeFileSync(path, text);
      return () => writeFileSync(path, former);
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function linkPackages(root: string, files: string[]): void {
  symlinkSync(join(repositoryRoot, "node_modules"), join(root, "node_modules"));
  for (const manifest of files.filter((file) => /.\/package\.json$/.test(file))) {
    const modules = join(dirname(manifest), "node_modules");
    if (!existsSync(join(repositoryRoot, modules))) continue;
    cpSync(join(repositoryRoot, modules), join(root, modules), { recursive: true, verbatimSymlinks: true });
  }
}

function listFiles(): string[] {
  const { stdout, status, stderr } = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    {
      cwd: repositoryRoot,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  if (status !== 0) throw new Error(`git cannot list the project's files: ${stderr}`);
  return [...new Set(stdout.split("\0").filter(Boolean))];
}
