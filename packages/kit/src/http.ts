import type { IncomingMessage } from "node:http";
import { finished } from "node:stream/promises";
import type { FastifyInstance } from "fastify";

/** Settings of every server that is spoken to over kept connections. */
export const httpSettings = {
  logger: false,
  // Longer than those who connect keep a connection, so that none is closed as a request is on its way.
  keepAliveTimeout: 75_000,
  // While it stops, requests on kept connections are still answered.
  return503OnClosing: false,
} as const;

/**
 * Lets each kept connection end with the answer of its next request, so that its caller connects anew, elsewhere. A server
 * that closes a connection by itself may do so while a request is on its way to it, and nobody knows what became of that.
 */
export function sendAway(app: FastifyInstance): void {
  app.server.prependListener("request", (_request, response) => response.setHeader("connection", "close"));
}

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

/** How much of a body that nobody wants is read at most, and for how long. */
const discardAtMostBytes = 8 * 1024 * 1024;
const discardWithinMs = 2_000;

/**
 * Reads what is left of a body and forgets it. A server that refuses a request and closes the connection while its client
 * still sends resets it, and the client never learns why.
 */
export async function discardBody(request: IncomingMessage): Promise<void> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), discardWithinMs);
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > discardAtMostBytes) enough.abort();
  });
  await finished(request, { writable: false, signal: enough.signal }).catch(() => {});
  clearTimeout(timer);
}
