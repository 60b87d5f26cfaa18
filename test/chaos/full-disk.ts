import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A disk of Postgres that is full when one wants: its library stands between Postgres and the system. See full-disk.c. */
export interface FullDisk {
  /** Variables with which Postgres is to run. */
  env: Record<string, string>;
  fill(): void;
  free(): void;
  /** How often something was refused since the disk was made. */
  refusals(): number;
}

/** Why there can be no full disk on this machine; undefined where there can. */
export function noFullDisk(): string | undefined {
  if (process.platform !== "linux") return "it loads a library into Postgres, which works on Linux";
  if (spawnSync("cc", ["--version"]).status !== 0) return "it needs a C compiler, cc";
  return undefined;
}

/** Makes the library. Throws with the compiler's words where that fails. */
export function openFullDisk(varDir: string): FullDisk {
  const folder = join(varDir, "full-disk");
  mkdirSync(folder, { recursive: true });
  // Postgres may run as another user.
  chmodSync(folder, 0o755);
  const [library, flag, refused] = ["full-disk.so", "is-full", "refusals"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const source = fileURLToPath(new URL("full-disk.c", import.meta.url));
  const { status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"]);
  if (status !== 0) throw new Error(`${source} cannot be compiled: ${String(stderr)}`);
  writeFileSync(refused, "");
  chmodSync(refused, 0o666);
  rmSync(flag, { force: true });
  return {
    env: {
      LD_PRELOAD: library,
      FULL_DISK_FOLDER: realpathSync(join(varDir, "postgres")),
      FULL_DISK_FLAG: flag,
      FULL_DISK_REFUSALS: refused,
    },
    fill: () => writeFileSync(flag, ""),
    free: () => rmSync(flag, { force: true }),
    refusals: () => (existsSync(refused) ? statSync(refused).size : 0),
  };
}
