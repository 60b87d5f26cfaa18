import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** A port of the loopback in front of another: what goes through it can be cut off. */
export interface TcpProxy {
  port: number;
  /** Breaks the connections; new ones are let through. */
  cut(): void;
  /** Breaks the connections and refuses new ones. */
  close(): Promise<void>;
}

/** Listens on a free port, or on that of a proxy that was closed before. */
export async function startTcpProxy(target: { host: string; port: number }, port = 0): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((inward) => {
    const outward = connect({ ...target, noDelay: true });
    inward.setNoDelay(true);
    inward.pipe(outward).pipe(inward);
    for (const [socket, other] of [
      [inward, outward],
      [outward, inward],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await once(server.listen(port, "127.0.0.1"), "listening");

  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}
