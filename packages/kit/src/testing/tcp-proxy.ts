import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What happens to bytes and connections on their way; nothing where it is empty. */
export interface LinkFault {
  /** New connections are refused; those that are open stay. */
  refuse?: boolean;
  /** Connections stay or become open, and nothing comes through, not even their end: half-open to both sides. */
  blackHole?: boolean;
  /** What is open now is lost, and neither side is told: half-open for as long as this lasts. New connections are let through. */
  strand?: boolean;
  /** How much later everything arrives, in ms, each way. */
  delayMs?: number;
  /** How many bytes of a connection pass in a second, each way. */
  bytesPerSecond?: number;
}

/** What a proxy has seen since it began. */
export interface LinkCounts {
  /** Connections that were opened through it. */
  opened: number;
  /** Connections that it broke. */
  cut: number;
  /** Times that bytes came while a fault held them back. */
  heldBack: number;
}

/** A port of the loopback in front of another: what goes through it can be cut off, held back and slowed down. */
export interface TcpProxy {
  port: number;
  /** Sets the fault, in place of the one before, for open connections too. Resolves when it is in force. */
  set(fault: LinkFault): Promise<void>;
  /** Leads new connections elsewhere; open ones stay where they are. */
  retarget(target: TcpTarget): void;
  counts(): LinkCounts;
  /** Breaks the connections; new ones are let through. */
  cut(): void;
  /** Breaks the connections and refuses new ones. */
  close(): Promise<void>;
}

export interface TcpTarget {
  host: string;
  port: number;
}

/** Beyond this many bytes on their way, a proxy that holds back stops reading. */
const mostHeldBytes = 1 << 20;

/** Listens on a free port, or on that of a proxy that was closed before. */
export async function startTcpProxy(firstTarget: TcpTarget, firstPort = 0): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const stranded = new Set<Socket>();
  const counts: LinkCounts = { opened: 0, cut: 0, heldBack: 0 };
  let target = firstTarget;
  let fault: LinkFault = {};
  let hole = Promise.withResolvers<void>();
  hole.resolve();

  /** Resolves when what came at this time may go on. */
  async function mayPass(arrivedMs: number, bytes: number): Promise<void> {
    await hole.promise;
    const { delayMs = 0, bytesPerSecond } = fault;
    const earlyMs = arrivedMs + delayMs - performance.now();
    if (earlyMs > 0) await sleep(earlyMs);
    if (bytesPerSecond) await sleep((bytes / bytesPerSecond) * 1_000);
  }

  function forward(from: Socket, to: Socket): void {
    let queue = Promise.resolve();
    let heldBytes = 0;
    const isHolding = () => Boolean(fault.blackHole || fault.delayMs || fault.bytesPerSecond);
    from.on("data", (chunk: Buffer) => {
      if (stranded.has(from)) {
        counts.heldBack += 1;
        return;
      }
      if (heldBytes === 0 && !isHolding()) {
        if (to.write(chunk)) return;
        from.pause();
        to.once("drain", () => from.resume());
        return;
      }
      counts.heldBack += 1;
      heldBytes += chunk.length;
      if (heldBytes > mostHeldBytes) from.pause();
      const arrivedMs = performance.now();
      queue = queue.then(async () => {
        await mayPass(arrivedMs, chunk.length);
        if (to.writable && !stranded.has(to)) to.write(chunk);
        heldBytes -= chunk.length;
        from.resume();
      });
    });
    const hasEnded = async (tell: () => void) => {
      await queue;
      await hole.promise;
      if (!stranded.has(to)) tell();
    };
    from.on("end", () => void hasEnded(() => to.end()));
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      stranded.delete(from);
      void hasEnded(() => to.destroy());
    });
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inward) => {
    const outward = connect({ ...target, noDelay: true, allowHalfOpen: true });
    counts.opened += 1;
    for (const socket of [inward, outward]) sockets.add(socket);
    forward(inward, outward);
    forward(outward, inward);
  });
  await once(server.listen(firstPort, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;

  function cut(): void {
    counts.cut += Math.ceil(sockets.size / 2);
    for (const socket of sockets) socket.destroy();
  }
  return {
    port,
    cut,
    counts: () => ({ ...counts }),
    retarget: (next) => void (target = next),
    async set(next) {
      if (next.blackHole && !fault.blackHole) hole = Promise.withResolvers();
      if (!next.blackHole) hole.resolve();
      if (next.strand) for (const socket of sockets) stranded.add(socket);
      else for (const socket of stranded) socket.destroy();
      fault = next;
      // The port is free while it refuses: nobody else on this machine is given it in between but by bad luck.
      if (next.refuse && server.listening) server.close();
      if (!next.refuse && !server.listening) await once(server.listen(port, "127.0.0.1"), "listening");
    },
    async close() {
      hole.resolve();
      const closed = server.listening ? once(server, "close") : undefined;
      server.close();
      cut();
      await closed;
    },
  };
}
