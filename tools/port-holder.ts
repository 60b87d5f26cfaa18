import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync, readlinkSync } from "node:fs";

/** Who listens on a TCP port of this machine, as "pid 4711 (node server.js)"; undefined where it cannot be seen. */
export function portHolder(port: number): string | undefined {
  const pid = process.platform === "linux" ? linuxHolder(port) : holderByLsof(port);
  if (pid === undefined) return undefined;
  const command = commandOf(pid);
  if (!command) return `pid ${pid}`;
  return `pid ${pid} (${command.length > 120 ? `${command.slice(0, 117)}...` : command})`;
}

/** The command line of a process; undefined when it does not run, empty when it has ended and was not yet waited for. */
export function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    if (process.platform === "linux") return undefined;
    return spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim() || undefined;
  }
}

function linuxHolder(port: number): number | undefined {
  const sockets = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readLines(table)) {
      // sl, local address, remote address, state (0A is listening), …, inode
      const columns = line.trim().split(/\s+/);
      if (columns[3] === "0A" && parseInt(columns[1]?.split(":")[1] ?? "", 16) === port) {
        sockets.add(`socket:[${columns[9]}]`);
      }
    }
  }
  if (sockets.size === 0) return undefined;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const folder = `/proc/${pid}/fd`;
      if (readdirSync(folder).some((fd) => sockets.has(readlinkSync(`${folder}/${fd}`)))) return Number(pid);
    } catch {
      // It has just ended, or belongs to another user.
    }
  }
  return undefined;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}

function holderByLsof(port: number): number | undefined {
  const { stdout } = spawnSync("lsof", ["-nP", "-t", `-iTCP:${port}`, "-sTCP:LISTEN"], { encoding: "utf8" });
  const pid = Number.parseInt(stdout ?? "", 10);
  return Number.isNaN(pid) ? undefined : pid;
}
