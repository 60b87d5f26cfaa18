/** Changes the project as a whole: what is generated follows, and where that fails all is as it was before. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { CommandFailure, run } from "../cluster/commands.ts";
import { Problem } from "../environment.ts";
import { repositoryRoot } from "../schemas.ts";
import { listFiles } from "./lists.ts";

const generated = ["pnpm-lock.yaml", "gateway/supergraph.graphql", "callers.yaml", "istio/faults"];

/** The folders of one service. */
export function foldersOf(name: string): string[] {
  return [`services/${name}`, `charts/${name}`];
}

/**
 * Makes the change, installs and generates what follows from it. `packageManager` is the command that installs. Throws a
 * Problem with what failed, having put everything back.
 */
export async function changeProject(
  name: string,
  options: { packageManager: string | undefined; say: (sentence: string) => void; change: () => void },
): Promise<void> {
  const { packageManager, say, change } = options;
  if (!packageManager) throw new Problem("PNPM is not set: start this by make, which says how packages are installed.");
  const before = remember([...foldersOf(name), ...listFiles, ...generated]);
  try {
    change();
    say("Installing …");
    await runHere("sh", "-c", `${packageManager} install --no-frozen-lockfile`);
    say("Generating the graph, the callers and the resolvers' types …");
    const written = [...foldersOf(name), ...listFiles].filter((file) => existsSync(join(repositoryRoot, file)));
    for (const program of [
      ["tools/codegen.ts"],
      ["tools/supergraph.ts"],
      ["tools/callers.ts"],
      ["tools/mesh-faults.ts"],
      // Names of other lengths break lines elsewhere.
      ["node_modules/oxfmt/bin/oxfmt", ...written],
    ])
      await runHere(process.execPath, ...program);
  } catch (error) {
    before.putBack();
    throw error;
  } finally {
    before.forget();
  }
}

/** Keeps a copy of files and folders, which may be missing. */
function remember(paths: string[]): { putBack(): void; forget(): void } {
  const copies = mkdtempSync(join(tmpdir(), "crowdcrunch-before-"));
  const copy = (from: string, to: string) => {
    if (!existsSync(from)) return;
    mkdirSync(dirname(to), { recursive: true });
    cpSync(from, to, { recursive: true, filter: (path) => basename(path) !== "node_modules" });
  };
  for (const path of paths) copy(join(repositoryRoot, path), join(copies, path));
  return {
    putBack() {
      for (const path of paths) {
        rmSync(join(repositoryRoot, path), { recursive: true, force: true });
        copy(join(copies, path), join(repositoryRoot, path));
      }
    },
    forget: () => rmSync(copies, { recursive: true }),
  };
}

/** Runs a program in the project. Throws a Problem with all that it said where it fails. */
async function runHere(program: string, ...programArguments: string[]): Promise<void> {
  await run(program, programArguments, { cwd: repositoryRoot, timeoutMs: 300_000 }).catch((error: Error) => {
    if (!(error instanceof CommandFailure)) throw error;
    throw new Problem(`${programArguments.at(-1)} failed, and everything is as it was:\n${error.output.trim()}`);
  });
}
