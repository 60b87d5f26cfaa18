import type { FastifyInstance } from "fastify";

/**
 * Lets storefronts of these origins call with credentials; others get no permission from the browser. Written here
 * because a fixed list needs twenty lines.
 */
export function allowOrigins(app: FastifyInstance, origins: string): void {
  const allowed = new Set(
    origins
      .split(",")
      .map((origin) => origin.trim())
      .filter((origin) => origin !== ""),
  );
  if (allowed.size === 0) return;
  app.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    reply.header("vary", "Origin");
    if (origin === undefined || !allowed.has(origin)) return done();
    reply.header("access-control-allow-origin", origin);
    reply.header("access-control-allow-credentials", "true");
    reply.header("access-control-expose-headers", "x-request-id");
    done();
  });
  app.options("/graphql", (request, reply) => {
    if (request.headers.origin !== undefined && allowed.has(request.headers.origin)) {
      reply.header("access-control-allow-methods", "GET, POST");
      reply.header(
        "access-control-allow-headers",
        "authorization, content-type, apollo-require-preflight, x-request-id, traceparent",
      );
      reply.header("access-control-max-age", "7200");
    }
    return reply.code(204).send();
  });
}
