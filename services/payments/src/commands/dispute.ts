import { paymentDisputed } from "@crowdcrunch/events/payments";
import type { Database } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { Logger } from "@crowdcrunch/kit/logger";
import { operationOfKey } from "../provider.ts";
import type { Dispute } from "../provider.ts";
import * as store from "../store.ts";

/** Makes `dispute`: notes once that a card's owner disputes a charge, tells orders and staff. False if it is not ours. */
export function createDispute({ db, newId, log }: { db: Database; newId: () => string; log: Logger }) {
  return async function dispute({ idempotencyKey, orderId, currency, amountMinor, reason }: Dispute): Promise<boolean> {
    const paymentId = operationOfKey(idempotencyKey)?.paymentId;
    return db.transaction(async (tx) => {
      const payment = paymentId === undefined ? undefined : await tx.one(store.lockPayments, [[paymentId]]);
      if (
        !payment ||
        payment.orderId !== orderId ||
        payment.currency !== currency ||
        amountMinor > payment.capturedMinor
      ) {
        log.error({ key: idempotencyKey }, "a dispute about nothing of ours is rejected");
        return false;
      }
      if ((await tx.run(store.insertDispute, [idempotencyKey, payment.id, amountMinor, reason])) === 0) return true;
      const version = payment.version + 1;
      await tx.run(store.countEvent, [payment.id, version]);
      tx.emit(
        paymentDisputed.create(
          { orderId, customerId: payment.customerId, version, paymentId: payment.id, amountMinor, currency, reason },
          { sequence: version },
        ),
      );
      await openIncident(tx, newId, {
        kind: "PAYMENT_DISPUTED",
        subject: payment.id,
        detail: `Order ${orderId}: ${amountMinor} ${currency} are disputed: ${reason}.`,
      });
      return true;
    });
  };
}
