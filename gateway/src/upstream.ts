import { Pool } from "undici";
import type { Dispatcher } from "undici";

/** A service's HTTP server as the gateway uses it: connections are kept and used again. */
export interface Upstream {
  pool: Pool;
  /** Sends a JSON body and collects the answer; rejects with an UpstreamError. */
  postJson(path: string, headers: string[], body: string, timeoutMs: number): Promise<UpstreamAnswer>;
  /** Breaks off what still runs. */
  close(): Promise<void>;
}

export interface UpstreamAnswer {
  status: number;
  setCookies: string[];
  text: string;
}

export class UpstreamError extends Error {
  override name = "UpstreamError";
  /** `timeout`: the time was over. `lost`: the connection broke. `refused`: nothing was sent. */
  reason: "timeout" | "lost" | "refused";
  constructor(reason: "timeout" | "lost" | "refused", cause: Error) {
    super(cause.message, { cause });
    this.reason = reason;
  }
}

const refusals = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export function openUpstream(origin: string): Upstream {
  const pool = new Pool(origin, {
    connections: 128,
    // So short that it is this side that closes an idle connection, also of a service that stops: its SHUTDOWN_WAIT_MS
    // is longer.
    keepAliveTimeout: 1_000,
    keepAliveMaxTimeout: 1_000,
    connect: { timeout: 2_000 },
    // Each request has a timer of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    pool,
    postJson: (path, headers, body, timeoutMs) =>
      new Promise((resolve, reject) => {
        pool.dispatch({ path, method: "POST", headers, body }, collect(timeoutMs, resolve, reject));
      }),
    close: () => pool.destroy(),
  };
}

/** Collects an answer without a stream for each: half of what undici's request() costs. */
function collect(
  timeoutMs: number,
  resolve: (answer: UpstreamAnswer) => void,
  reject: (error: UpstreamError) => void,
): Dispatcher.DispatchHandler {
  let status = 0;
  let setCookies: string[] = [];
  let chunks: Buffer[] = [];
  let running: Dispatcher.DispatchController | undefined;
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    const error = new UpstreamError("timeout", new Error(`no answer within ${Math.round(timeoutMs)} ms`));
    running?.abort(error);
    reject(error);
  }, timeoutMs);

  return {
    onRequestStart(controller) {
      running = controller;
      // It waited for a free connection until its time was over.
      if (timedOut) controller.abort(new Error("too late"));
    },
    onResponseStart(_controller, statusCode, headers) {
      status = statusCode;
      const cookies = headers["set-cookie"];
      if (cookies) setCookies = typeof cookies === "string" ? [cookies] : cookies;
    },
    onResponseData(_controller, chunk) {
      chunks.push(chunk);
    },
    onResponseEnd() {
      clearTimeout(timer);
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      chunks = [];
      resolve({ status, setCookies, text: body.toString("utf8") });
    },
    onResponseError(_controller, error) {
      clearTimeout(timer);
      const code = (error as NodeJS.ErrnoException).code ?? "";
      reject(new UpstreamError(refusals.has(code) ? "refused" : "lost", error));
    },
  };
}
