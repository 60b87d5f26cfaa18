/** What is looked at before a shop starts, so that each obstacle is a sentence with the way out. */
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { Problem } from "./environment.ts";
import { processesOf } from "./plan.ts";
import type { Plan } from "./plan.ts";
import { portHolder } from "./port-holder.ts";

const minimumFreeMegabytes = 500;

/** Throws a Problem unless this is the Node that the project pins. */
export function checkNode(version = process.versions.node): void {
  if (Number.parseInt(version, 10) < 24) {
    throw new Problem(
      `This is Node ${version}; the shop needs Node 24, which the project brings along: start it with make, or with node_modules/.bin/node.`,
    );
  }
}

/** Makes the folder for data where it is missing. Throws a Problem where it cannot be written, or the disk is full. */
export function checkFolder(varDir: string, freeMegabytes = megabytesFree): void {
  const probe = join(varDir, `.probe-${process.pid}`);
  try {
    mkdirSync(varDir, { recursive: true });
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = { EACCES: "belongs to somebody else", EROFS: "is on a read-only disk", ENOSPC: "is on a full disk" }[
      code ?? ""
    ];
    throw new Problem(
      `The folder ${varDir} ${reason ?? `cannot be written (${message})`}: make it writable (for example: sudo chown -R "$USER" ${varDir}), or name another with CROWDCRUNCH_VAR=…`,
    );
  }
  const free = freeMegabytes(varDir);
  if (free < minimumFreeMegabytes) {
    throw new Problem(
      `The disk of ${varDir} has ${free} MB left and the shop needs ${minimumFreeMegabytes}: free some, or name a folder elsewhere with CROWDCRUNCH_VAR=…`,
    );
  }
}

function megabytesFree(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((bavail * bsize) / 1e6);
}

/** Throws a Problem that names every port of the plan that is taken, and by whom. */
export async function checkPorts(plan: Plan): Promise<void> {
  const taken: string[] = [];
  for (const { name, port, metricsPort } of processesOf(plan)) {
    for (const [what, number] of [["", port] as const, [" (metrics)", metricsPort] as const]) {
      if (number === undefined || (await isFree(number))) continue;
      taken.push(`Port ${number} of ${name}${what} is taken by ${portHolder(number) ?? "a process of another user"}.`);
    }
  }
  if (taken.length === 0) return;
  throw new Problem(
    `${taken.join("\n")}\nStop ${taken.length === 1 ? "it" : "them"}, or start this shop beside: make up PORT_OFFSET=1000 CROWDCRUNCH_VAR=var2`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(false);
      else reject(error);
    });
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The first folder above `path` that other users may not enter; undefined where all may be. */
export function closedFolderAbove(path: string, mayEnter: (folder: string) => boolean): string | undefined {
  const closed: string[] = [];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(folder) && !mayEnter(folder)) closed.push(folder);
    if (folder === dirname(folder)) return closed.at(-1);
  }
}
