import { createHash, timingSafeEqual } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "@crowdcrunch/kit/database";
import { unauthenticated } from "@crowdcrunch/kit/errors";
import { serveFaults } from "@crowdcrunch/kit/fault-routes";
import type { Faults } from "@crowdcrunch/kit/faults";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import Type from "typebox";
import type { Static, TSchema } from "typebox";
import { Refusal, newName } from "./book.ts";
import type { Book } from "./book.ts";
import { passCallback } from "./callback-faults.ts";
import type { SendCallback } from "./callbacks.ts";
import { testCard } from "./cards.ts";
import { operationBody } from "./operation-body.ts";
import { insertToken } from "./store.ts";
import type { OperationRow } from "./store.ts";

const Key = Type.String({ minLength: 1, maxLength: 255 });
const Positive = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const Authorization = Type.Object({
  idempotencyKey: Key,
  reference: Type.String({ minLength: 1, maxLength: 255 }),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  amountMinor: Positive,
  currency: Type.String({ pattern: "^[A-Z]{3}$" }),
  source: Type.String({ minLength: 1, maxLength: 512 }),
  returnUrl: Type.Optional(Type.String({ pattern: "^https?://", maxLength: 2_048 })),
});
const WithAmount = Type.Object({ idempotencyKey: Key, amountMinor: Positive });
const WithoutAmount = Type.Object({ idempotencyKey: Key });
const CardToKeep = Type.Object({ cardNumber: Type.String({ maxLength: 32 }) });
const ofAuthorization = Type.Object({ id: Type.String() });

/** How long a request whose answer never comes is kept open. */
const silenceMs = 60_000;

export interface ApiOptions {
  db: Database;
  book: Book;
  apiKey: string;
  publicUrl: () => string;
  latencyMs: number;
  /** Faults on purpose: those of provider-api. They are set at /faults, with the API key. */
  faults: Faults;
  sendCallback: SendCallback;
}

/** The HTTP API, in the manner of Stripe's payment intents. */
export function apiRoutes(app: FastifyInstance, options: ApiOptions): void {
  const { book, db, faults } = options;
  const keyDigest = digest(`Bearer ${options.apiKey}`);

  const hasKey = (request: FastifyRequest) => timingSafeEqual(digest(request.headers.authorization ?? ""), keyDigest);

  async function requireKey(request: FastifyRequest): Promise<void> {
    if (!hasKey(request)) throw new Refusal(401, "UNAUTHENTICATED", "A valid API key is needed.");
  }

  async function answer(reply: FastifyReply, operation: OperationRow): Promise<FastifyReply> {
    if (options.latencyMs > 0) await sleep(options.latencyMs);
    if (faults.on) await passExecuted(reply.request, operation);
    return reply.code(operation.status === "FAILED" ? 402 : 200).send(operationBody(operation, options.publicUrl()));
  }

  async function passExecuted(request: FastifyRequest, operation: OperationRow): Promise<void> {
    const detail = () => passing(request, operation.idempotencyKey);
    if (operation.status !== "ACTION_REQUIRED") await passCallback(faults, operation, detail, options.sendCallback);
    if ((await faults.at("provider-api.after-execute", detail))?.action === "withhold") await silence(request);
  }

  function post<Body extends TSchema>(
    path: string,
    body: Body,
    handle: (id: string, body: Static<Body>, request: FastifyRequest, reply: FastifyReply) => Promise<unknown>,
  ) {
    const params = path.includes(":id") ? { params: ofAuthorization } : {};
    app.post(path, { preHandler: requireKey, schema: { body, ...params } }, async (request, reply) => {
      const content = request.body as Static<Body> & { idempotencyKey: string };
      if (faults.on) await faults.at("provider-api.before-execute", () => passing(request, content.idempotencyKey));
      return handle((request.params as { id?: string }).id ?? "", content, request, reply);
    });
  }

  post("/v1/authorizations", Authorization, async (_id, body, request, reply) => {
    const operation = await book.authorize(body);
    if (operation.behaviour === "timeout") await silence(request);
    return answer(reply, operation);
  });
  post("/v1/authorizations/:id/captures", WithAmount, async (id, body, _request, reply) =>
    answer(reply, await book.capture(id, body)),
  );
  post("/v1/authorizations/:id/voids", WithoutAmount, async (id, body, _request, reply) =>
    answer(reply, await book.void(id, body)),
  );
  post("/v1/authorizations/:id/refunds", WithAmount, async (id, body, _request, reply) =>
    answer(reply, await book.refund(id, body)),
  );

  serveFaults(app, {
    faults,
    authorize: (request) =>
      hasKey(request) ? Promise.resolve() : Promise.reject(unauthenticated("A valid API key is needed.")),
  });

  app.get("/v1/operations/:idempotencyKey", { preHandler: requireKey }, async (request, reply) => {
    const operation = await book.find((request.params as { idempotencyKey: string }).idempotencyKey);
    if (!operation) throw new Refusal(404, "UNKNOWN_OPERATION", "Nothing was asked with this key.");
    return reply.send(operationBody(operation, options.publicUrl()));
  });

  // Called by the shopper's browser, from another origin and without the secret key: the card never meets the shop.
  app.options("/v1/tokens", (_request, reply) =>
    reply
      .headers({
        "access-control-allow-origin": "*",
        "access-control-allow-headers": "content-type",
        "access-control-max-age": "600",
      })
      .code(204)
      .send(),
  );
  app.post("/v1/tokens", { schema: { body: CardToKeep } }, async (request, reply) => {
    const card = testCard((request.body as Static<typeof CardToKeep>).cardNumber);
    reply.header("access-control-allow-origin", "*");
    if (!card) throw new Refusal(422, "NOT_A_TEST_CARD", "Only the test card numbers are taken here.");
    const token = newName("tok");
    await db.run(insertToken, [token, card.behaviour, card.brand, card.last4]);
    return reply.code(201).send({ token, brand: card.brand, last4: card.last4 });
  });
}

/** A request as faults are matched, e.g. "POST /v1/authorizations <key>". */
function passing(request: FastifyRequest, idempotencyKey: string): string {
  return `${request.method} ${request.url} ${idempotencyKey}`;
}

/** Keeps the request open without an answer until the caller gives up. */
async function silence(request: FastifyRequest): Promise<void> {
  const closed = new AbortController();
  request.raw.socket.once("close", () => closed.abort());
  await sleep(silenceMs, undefined, { signal: closed.signal, ref: false }).catch(() => {});
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
