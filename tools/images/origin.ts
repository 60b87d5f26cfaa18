/** Where the sources of an image come from, for its labels. */
import { run } from "../cluster/commands.ts";

export interface Origin {
  /** The commit, with -dirty where files were changed since; empty outside git, as are the others. */
  revision: string;
  /** The commit's time: the same commit makes the same image. */
  created: string;
  /** The repository's page. */
  source: string;
}

/** Asks git. */
export async function findOrigin(root: string): Promise<Origin> {
  const git = (...args: string[]) =>
    run("git", ["-C", root, ...args]).then(
      (text) => text.trim(),
      () => "",
    );
  return {
    revision: await git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
    created: await git("log", "--max-count=1", "--format=%cI"),
    source: pageOf(await git("remote", "get-url", "origin")),
  };
}

/** The https address of a git remote, without the credentials that may stand in it; empty where it has none. */
export function pageOf(remote: string): string {
  const [, host, path] =
    /^(?:https?|ssh|git):\/\/(?:[^@/]*@)?([^/]+)\/(.+?)(?:\.git)?\/?$/.exec(remote) ??
    /^(?:[^@/]+@)?([^/:]{2,}):(?!\/)(.+?)(?:\.git)?\/?$/.exec(remote) ??
    [];
  return host && path ? `https://${host}/${path}` : "";
}
