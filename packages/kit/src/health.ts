import { fastify } from "fastify";
import { closeHttp } from "./http.ts";
import type { Metrics } from "./metrics.ts";

/**
 * What stands between the process and being ready; empty when it is. Ready is what has started and is not stopping. A
 * database that goes away later does not count: it would take all replicas out at once, and callers would meet refused
 * connections in place of an answer that says when to try again.
 */
export type Readiness = () => Promise<string[]> | string[];

/** How long a probe or a scrape that runs may hold up the stop. */
const graceMs = 1_000;

/**
 * Liveness, readiness and metrics on a port of their own. Liveness never looks at dependencies: a restart does not bring
 * a database back.
 */
export async function serveHealth(options: {
  host: string;
  port: number;
  metrics: Metrics;
  readiness: Readiness;
}): Promise<{ url: string; stop(): Promise<void> }> {
  const app = fastify({ logger: false });
  app.get("/livez", () => ({ status: "alive" }));
  app.get("/readyz", async (_request, reply) => {
    const waitingFor = await options.readiness();
    return reply
      .code(waitingFor.length === 0 ? 200 : 503)
      .send({ status: waitingFor.length === 0 ? "ready" : "waiting", waitingFor });
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type(options.metrics.registry.contentType).send(await options.metrics.registry.metrics()),
  );
  const url = await app.listen({ host: options.host, port: options.port });
  return { url, stop: () => closeHttp(app, graceMs) };
}
