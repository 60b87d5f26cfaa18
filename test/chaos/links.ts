import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LinkCounts, LinkFault, TcpTarget } from "@crowdcrunch/kit/testing/tcp-proxy";
import type { Reply, Request } from "./link-process.ts";

export type { LinkCounts, LinkFault } from "@crowdcrunch/kit/testing/tcp-proxy";

/** A connection of the shop that leads through a proxy of the loopback, and can be broken there. */
export interface Link {
  /** "<who connects>><to whom>", e.g. "orders>postgres". */
  name: string;
  port: number;
  /** Refuses, swallows, delays or narrows, in place of the fault before; `{}` heals. */
  set(fault: LinkFault): Promise<void>;
  /** Breaks the open connections; new ones are let through. */
  cut(): Promise<void>;
  /** Leads new connections to another port, as a load balancer does when a replica takes over. */
  retarget(port: number): Promise<void>;
  counts(): Promise<LinkCounts>;
}

export interface Links {
  /** Throws where the name is of no link. */
  get(name: string): Link;
  all(): Link[];
  /** Opens a link to a port of this machine, on a free port or the given one. */
  open(name: string, targetPort: number, port?: number): Promise<Link>;
  close(): void;
}

type Call = Request extends infer One ? (One extends Request ? Omit<One, "id" | "link"> : never) : never;

/** Starts the process of the proxies. */
export function openLinks(): Links {
  const child = fork(fileURLToPath(new URL("link-process.ts", import.meta.url)));
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const links = new Map<string, Link>();
  let lastId = 0;
  child.on("message", ({ id, result, error }: Reply) => {
    const { resolve, reject } = waiting.get(id)!;
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new Error(error));
  });
  child.on("exit", () => {
    for (const { reject } of waiting.values()) reject(new Error("the process of the links has ended"));
  });

  function ask<Result>(link: string, call: Call): Promise<Result> {
    const answer = Promise.withResolvers<unknown>();
    lastId += 1;
    waiting.set(lastId, answer);
    child.send({ id: lastId, link, ...call });
    return answer.promise as Promise<Result>;
  }
  const at = (port: number): TcpTarget => ({ host: "127.0.0.1", port });

  return {
    get(name) {
      const link = links.get(name);
      if (!link) throw new Error(`there is no link ${name}; there are ${[...links.keys()].join(", ")}`);
      return link;
    },
    all: () => [...links.values()],
    async open(name, targetPort, wantedPort = 0) {
      const port = await ask<number>(name, { call: "open", target: at(targetPort), port: wantedPort });
      const link: Link = {
        name,
        port,
        set: (fault) => ask(name, { call: "set", fault }),
        cut: () => ask(name, { call: "cut" }),
        retarget: (next) => ask(name, { call: "retarget", target: at(next) }),
        counts: () => ask(name, { call: "counts" }),
      };
      links.set(name, link);
      return link;
    },
    close() {
      if (child.connected) child.disconnect();
    },
  };
}
