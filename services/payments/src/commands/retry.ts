import type { Database } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { idempotent, requireUuid } from "@crowdcrunch/kit/idempotency";
import type { Viewer } from "@crowdcrunch/kit/identity";
import * as store from "../store.ts";

export interface RetryInput {
  idempotencyKey: string;
  paymentId: string;
  operation: "CAPTURE" | "VOID" | "REFUND" | "AUTHORIZE";
  sequence: number;
}

/**
 * Makes `retry`, for staff: what the provider refused is asked again under a new key, what is still open is taken up at
 * once. A refused card is not: the shopper pays with another. Resolves to the payment's id. Throws NotFound,
 * NotPossible, InvalidInput, KeyReused.
 */
export function createRetry({ db, onDue }: { db: Database; onDue: () => void }) {
  return async function retry(viewer: Viewer, input: RetryInput): Promise<string> {
    const { operation: kind, sequence } = input;
    const paymentId = requireUuid(input.paymentId, "paymentId");
    if (sequence < 1) throw invalid("sequence", "Operations are counted from 1.");
    return db.transaction((tx) =>
      idempotent(
        tx,
        {
          principal: viewer.sub,
          operation: "retryPaymentOperation",
          key: input.idempotencyKey,
          request: { paymentId, kind, sequence },
        },
        async () => {
          await tx.one(store.lockPayments, [[paymentId]]);
          const last = await tx.one(store.lastAttempt, [paymentId, kind, sequence]);
          if (!last) throw notFound("There is no such operation.");
          if (
            last.status === "SUCCEEDED" ||
            last.status === "ACTION_REQUIRED" ||
            (last.status === "FAILED" && kind === "AUTHORIZE")
          ) {
            throw notPossible(
              last.status,
              last.status === "FAILED" ? "The shopper pays with another card." : "There is nothing to try again.",
            );
          }
          await tx.run(last.status === "FAILED" ? store.addAttempt : store.hasten, [last.id]);
          tx.afterCommit(onDue);
          return paymentId;
        },
      ),
    );
  };
}
