import type { FastifyInstance } from "fastify";

/** Settings of every server that is spoken to over kept connections. */
export const httpSettings = {
  logger: false,
  // Longer than those who connect keep a connection, so that none is closed as a request is on its way.
  keepAliveTimeout: 75_000,
  // While it stops, requests on kept connections are still answered.
  return503OnClosing: false,
} as const;

/** Lets what runs end; kept connections are closed when they are idle, and all of them when the time is over. */
export async function closeHttp(app: FastifyInstance, graceMs: number): Promise<void> {
  // A connection whose request ends from now on would else be kept for the next one.
  const idle = setInterval(() => app.server.closeIdleConnections(), 50);
  const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
  try {
    await app.close();
  } finally {
    clearInterval(idle);
    clearTimeout(timer);
  }
}
