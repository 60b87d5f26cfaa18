import { createHmac, timingSafeEqual } from "node:crypto";
import type { Readable } from "node:stream";
import type { Faults } from "@crowdcrunch/kit/faults";
import Type from "typebox";
import { Compile } from "typebox/compile";
import { Pool } from "undici";
import type { HoldRequest, PaymentProvider, Report } from "../provider.ts";
import type { Outcome } from "../payment.ts";

const operationShape = Type.Object({
  idempotencyKey: Type.String(),
  status: Type.Enum(["SUCCEEDED", "FAILED", "ACTION_REQUIRED"]),
  code: Type.Optional(Type.String()),
  amountMinor: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  currency: Type.String(),
  reference: Type.String(),
  authorizationId: Type.String(),
  expiresAt: Type.String(),
  card: Type.Object({ brand: Type.String(), last4: Type.String() }),
  actionUrl: Type.Optional(Type.String()),
});
type OperationBody = Type.Static<typeof operationShape>;
const operationValidator = Compile(operationShape);
const callbackValidator = Compile(Type.Object({ type: Type.String(), operation: operationShape }));

export interface SimulatedProviderOptions {
  url: string;
  apiKey: string;
  webhookSecret: string;
  timeoutMs: number;
  connections: number;
  /** Faults on purpose: provider.before-call, provider.during-call, provider.after-call. */
  faults: Faults;
}

/** The simulated provider over HTTP: its API and callbacks are in the manner of Stripe's payment intents. */
export function simulatedProvider(options: SimulatedProviderOptions): PaymentProvider {
  const pool = new Pool(new URL(options.url).origin, {
    connections: options.connections,
    pipelining: 1,
    keepAliveTimeout: 60_000,
  });
  const { faults } = options;
  const headers = { authorization: `Bearer ${options.apiKey}`, "content-type": "application/json" };

  async function call(
    request: HoldRequest,
    method: "GET" | "POST",
    path: string,
    body?: object,
  ): Promise<Report | undefined> {
    const { idempotencyKey, orderId, currency } = request;
    const passing = () => `${method} ${path} ${idempotencyKey}`;
    const outcome = (known: Outcome): Report => ({ idempotencyKey, orderId, currency, outcome: known });
    try {
      if (faults.on) await faults.at("provider.before-call", passing);
      const reply = await pool.request({
        method,
        path,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(options.timeoutMs),
      });
      if (faults.on) await orDestroy(reply.body, faults.at("provider.during-call", passing));
      const content = await reply.body.json();
      if (faults.on) await faults.at("provider.after-call", passing);
      if (operationValidator.Check(content)) return reportOf(content);
      const { statusCode } = reply;
      if (method === "GET" && statusCode === 404) return undefined;
      // Our key or our rate is at fault, or the provider: nothing that is true of the payment for good.
      if (statusCode >= 500 || [401, 403, 408, 429].includes(statusCode))
        return outcome({ kind: "unknown", reason: `status ${statusCode}` });
      return outcome({ kind: "failed", code: codeOf((content as { error?: { code?: string } } | null)?.error?.code) });
    } catch (error) {
      return outcome({ kind: "unknown", reason: (error as Error).message });
    }
  }

  async function post(request: HoldRequest, path: string, body: object): Promise<Report> {
    return (await call(request, "POST", path, { idempotencyKey: request.idempotencyKey, ...body })) as Report;
  }

  const authorization = (request: HoldRequest) =>
    `/v1/authorizations/${encodeURIComponent(request.providerId ?? "unknown")}`;

  return {
    authorize: ({ orderId, orderNumber, amountMinor, currency, token, returnUrl, idempotencyKey }) =>
      post({ idempotencyKey, orderId, currency, providerId: null }, "/v1/authorizations", {
        ...{ reference: orderId, description: orderNumber, amountMinor, currency, source: token, returnUrl },
      }),
    capture: (request) => post(request, `${authorization(request)}/captures`, { amountMinor: request.amountMinor }),
    void: (request) => post(request, `${authorization(request)}/voids`, {}),
    refund: (request) => post(request, `${authorization(request)}/refunds`, { amountMinor: request.amountMinor }),
    lookUp: (request) => call(request, "GET", `/v1/operations/${encodeURIComponent(request.idempotencyKey)}`),

    verifyCallback(callbackHeaders, body) {
      const header = callbackHeaders["provider-signature"];
      const match = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(typeof header === "string" ? header : "");
      if (!match) return undefined;
      const expected = createHmac("sha256", options.webhookSecret).update(`${match[1]}.${body}`).digest();
      if (!timingSafeEqual(expected, Buffer.from(match[2] as string, "hex"))) return undefined;
      const sentAt = new Date(Number(match[1]) * 1_000);
      const content: unknown = JSON.parse(body);
      if (!callbackValidator.Check(content)) return { kind: "other", sentAt };
      const report = reportOf(content.operation);
      if (content.type === "operation.settled") return { kind: "report", sentAt, report };
      if (content.type !== "authorization.disputed") return { kind: "other", sentAt };
      const { amountMinor } = content.operation;
      return {
        kind: "dispute",
        sentAt,
        dispute: {
          idempotencyKey: report.idempotencyKey,
          orderId: report.orderId,
          currency: report.currency,
          amountMinor,
          reason: "DISPUTED",
        },
      };
    },
    close: () => pool.close(),
  };
}

/** An answer that is not read any more must not keep its connection. */
async function orDestroy(body: Readable, passing: Promise<unknown>): Promise<void> {
  try {
    await passing;
  } catch (error) {
    body.on("error", () => {}).destroy();
    throw error;
  }
}

function reportOf(operation: OperationBody): Report {
  const { idempotencyKey, reference, currency } = operation;
  return { idempotencyKey, orderId: reference, currency, outcome: outcomeOf(operation) };
}

function outcomeOf({ status, code, amountMinor, authorizationId, expiresAt, card, actionUrl }: OperationBody): Outcome {
  switch (status) {
    case "SUCCEEDED":
      return {
        kind: "succeeded",
        amountMinor,
        authorization: { providerId: authorizationId, expiresAt: new Date(expiresAt), card },
      };
    case "FAILED":
      return { kind: "failed", code: codeOf(code) };
    case "ACTION_REQUIRED":
      return { kind: "action-required", amountMinor, providerId: authorizationId, url: actionUrl ?? "" };
  }
}

/** A code as events have it. */
function codeOf(code: string | undefined): string {
  return code && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : "PROVIDER_ERROR";
}
