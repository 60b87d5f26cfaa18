import type { IncomingHttpHeaders } from "node:http";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { ServiceName } from "@crowdcrunch/shop/parts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Dispatcher } from "undici";
import { forwardedHeaders, requestIdOf } from "./context.ts";
import { isPlainPath, passThrough } from "./paths.ts";
import type { PassThrough } from "./paths.ts";
import type { Upstream } from "./upstream.ts";

/** Headers of one connection, and those that only the gateway may say; cookies are for `users` alone. */
const withheld = new Set([
  "connection",
  "content-length",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "authorization",
  "traceparent",
  "x-budget-ms",
  "x-client-address",
  "x-request-id",
]);

interface Options {
  upstreams: Record<ServiceName, Upstream>;
  budgetMs: number;
  log: Logger;
}

/** Passes the fixed list of paths on to their services and streams the answers back. */
export async function servePassThrough(app: FastifyInstance, options: Options): Promise<void> {
  // In a scope of its own: bodies are passed on as the bytes that were signed.
  await app.register((scope, _settings, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, parsed) => parsed(null, body));
    for (const passed of passThrough) {
      scope.route({
        url: passed.path,
        method: passed.methods,
        handler: (request, reply) => pass(request, reply, passed, options),
      });
    }
    done();
  });
}

async function pass(
  request: FastifyRequest,
  reply: FastifyReply,
  passed: PassThrough,
  options: Options,
): Promise<FastifyReply> {
  const { service } = passed;
  const path = request.url.split("?", 1)[0] ?? "";
  if (!isPlainPath(path)) return reply.code(404).type("text/plain").send("There is no such page.\n");
  const requestId = requestIdOf(request.headers["x-request-id"]);
  reply.header("x-request-id", requestId);
  try {
    const response = await send(request, requestId, passed, options);
    reply.code(response.statusCode);
    for (const [name, value] of Object.entries(passable(response.headers))) reply.header(name, value);
    const length = response.headers["content-length"];
    if (length !== undefined) reply.header("content-length", length);
    return await reply.send(response.body);
  } catch (error) {
    const late = (error as NodeJS.ErrnoException).code === "UND_ERR_HEADERS_TIMEOUT";
    options.log.warn({ service, requestId, error: (error as Error).message }, "a page could not be passed on");
    reply.header("retry-after", "1").type("text/plain");
    return reply.code(late ? 504 : 503).send("This part of the shop is not available now; try again.\n");
  }
}

async function send(
  request: FastifyRequest,
  requestId: string,
  { service, repeatable }: PassThrough,
  { upstreams, budgetMs }: Options,
): Promise<Dispatcher.ResponseData> {
  const { authorization, traceparent } = request.headers;
  const own = forwardedHeaders({ authorization, requestId, clientAddress: request.ip, traceparent });
  const headers = [...Object.entries(passable(request.headers)).flat(), ...own, "x-budget-ms", String(budgetMs)];
  const options = {
    path: request.url,
    method: request.method as Dispatcher.HttpMethod,
    headers: headers as string[],
    body: (request.body as Buffer | undefined) ?? null,
    headersTimeout: budgetMs,
    bodyTimeout: 30_000,
  };
  try {
    return await upstreams[service].pool.request(options);
  } catch (error) {
    // A kept connection may be closed by the other side at the moment it is used.
    if (!repeatable || (error as NodeJS.ErrnoException).code !== "UND_ERR_SOCKET") throw error;
    return upstreams[service].pool.request(options);
  }
}

function passable(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = new Set(
    String(headers.connection ?? "")
      .split(",")
      .map((name) => name.trim().toLowerCase()),
  );
  const passed: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || withheld.has(name) || named.has(name) || name.startsWith("x-forwarded-")) continue;
    passed[name] = value;
  }
  return passed;
}
