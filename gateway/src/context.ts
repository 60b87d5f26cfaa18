import type { Viewer } from "@crowdcrunch/kit/identity";

/** What one request carries through the gateway. */
export interface GatewayContext {
  viewer: Viewer | null;
  requestId: string;
  /** Headers for every subgraph, flat: name, value, name, value. */
  forwarded: string[];
  /** The caller's cookies; for `users` alone. */
  cookie: string | undefined;
  /** When the budget is used up, ms of a monotonic clock. */
  deadlineMs: number;
  /** Cookies that `users` sets. */
  setCookies: string[];
  outcome: Outcome;
}

/** For the metrics. An object of its own, because Apollo Server copies the context before it runs. */
export interface Outcome {
  /** query, mutation, or none where it did not come so far. */
  operation: string;
  /** The first error's code, or OK. */
  code: string;
}

const requestIdShape = /^[\w.-]{1,100}$/;
const traceparentShape = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/;

/** The caller's request id where it is one that logs can carry, else a new one. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === "string" && requestIdShape.test(header) ? header : crypto.randomUUID();
}

/** The headers that services get about who calls and why. All else that a client sends stays at the gateway. */
export function forwardedHeaders(call: {
  authorization: string | undefined;
  requestId: string;
  clientAddress: string;
  traceparent: string | string[] | undefined;
}): string[] {
  const headers = ["x-request-id", call.requestId, "x-client-address", call.clientAddress];
  if (call.authorization) headers.push("authorization", call.authorization);
  if (typeof call.traceparent === "string" && traceparentShape.test(call.traceparent)) {
    headers.push("traceparent", call.traceparent);
  }
  return headers;
}
