import { fastify } from "fastify";
import type { FastifyInstance } from "fastify";
import type { Metrics } from "./metrics.ts";

/** What stands between the process and being ready; empty when it is. */
export type Readiness = () => Promise<string[]> | string[];

/**
 * Liveness, readiness and metrics on a port of their own. Liveness never looks at dependencies: a restart does not bring
 * a database back.
 */
export async function serveHealth(options: {
  host: string;
  port: number;
  metrics: Metrics;
  readiness: Readiness;
}): Promise<FastifyInstance> {
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
  await app.listen({ host: options.host, port: options.port });
  return app;
}
