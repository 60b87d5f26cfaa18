/** The process of all proxies of a run: apart from the driver, so that neither waits for the other. See links.ts. */
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import type { LinkFault, TcpProxy, TcpTarget } from "@crowdcrunch/kit/testing/tcp-proxy";

export type Request = { id: number; link: string } & (
  | { call: "open"; target: TcpTarget; port: number }
  | { call: "set"; fault: LinkFault }
  | { call: "retarget"; target: TcpTarget }
  | { call: "cut" | "counts" }
);
export type Reply = { id: number; result?: unknown; error?: string };

const proxies = new Map<string, TcpProxy>();

async function serve(request: Request): Promise<unknown> {
  if (request.call === "open") {
    const proxy = await startTcpProxy(request.target, request.port);
    proxies.set(request.link, proxy);
    return proxy.port;
  }
  const proxy = proxies.get(request.link);
  if (!proxy) throw new Error(`there is no link ${request.link}`);
  if (request.call === "set") return proxy.set(request.fault);
  if (request.call === "retarget") return proxy.retarget(request.target);
  return proxy[request.call]();
}

process.on("message", (request: Request) => {
  const { id } = request;
  serve(request).then(
    (result) => process.send!({ id, result } satisfies Reply),
    (error: Error) => process.send!({ id, error: error.message } satisfies Reply),
  );
});
process.on("disconnect", () => process.exit(0));
// A signal to the whole group reaches the driver too, which still needs the links to end well.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
