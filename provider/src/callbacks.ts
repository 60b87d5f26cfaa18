import { createHmac } from "node:crypto";
import type { Database } from "@crowdcrunch/kit/database";
import type { Logger } from "@crowdcrunch/kit/logger";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import type { PollingWorker } from "@crowdcrunch/kit/worker";
import { newName } from "./book.ts";
import { operationBody } from "./operation-body.ts";
import * as store from "./store.ts";
import type { OperationRow } from "./store.ts";

/**
 * The header `provider-signature` of a callback: `t=<seconds since 1970>,v1=<hex>`, an HMAC-SHA256 of `<t>.<body>`. The
 * time is signed too, so that an old callback cannot be played again.
 */
export function signature(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex")}`;
}

const batch = 16;

/** Sends one further callback that an operation is settled, once; a forged one bears another key's signature. */
export type SendCallback = (operation: OperationRow, how?: { forged: boolean }) => Promise<void>;

/** Delivers callbacks from the table until the shop answers 2xx. */
export function callbackWorker(options: {
  db: Database;
  url: string;
  secret: string;
  publicUrl: () => string;
  log: Logger;
}): PollingWorker & { send: SendCallback } {
  const { db, log } = options;

  async function deliver(
    callback: OperationRow & { callbackId: string; type: string },
    secret = options.secret,
  ): Promise<string | undefined> {
    const body = JSON.stringify({
      id: callback.callbackId,
      type: callback.type,
      operation: operationBody(callback, options.publicUrl()),
    });
    try {
      const response = await fetch(options.url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "provider-signature": signature(secret, Math.floor(Date.now() / 1_000), body),
        },
        body,
        signal: AbortSignal.timeout(5_000),
      });
      await response.arrayBuffer();
      if (response.ok) return callback.callbackId;
      log.warn({ callback: callback.callbackId, status: response.status }, "the shop did not take a callback");
    } catch (error) {
      log.warn({ callback: callback.callbackId, error: (error as Error).message }, "a callback could not be delivered");
    }
    return undefined;
  }

  function claim() {
    return db.many(store.claimCallbacks, [batch]);
  }

  const worker = pollingWorker({
    name: "callbacks",
    intervalMs: 500,
    log,
    async round() {
      const callbacks = await claim();
      const delivered = (await Promise.all(callbacks.map((callback) => deliver(callback)))).filter(
        (id) => id !== undefined,
      );
      if (delivered.length > 0) await db.run(store.markDelivered, [delivered]);
      return callbacks.length === batch;
    },
  });
  return {
    ...worker,
    async send(operation, { forged } = { forged: false }) {
      const further = { ...operation, callbackId: newName("cb"), type: "operation.settled" };
      await deliver(further, forged ? newName("forged") : options.secret);
    },
  };
}
