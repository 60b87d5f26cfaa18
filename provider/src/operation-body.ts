import type { OperationRow } from "./store.ts";

/** An operation as replies, look-ups and callbacks tell it. */
export function operationBody(operation: OperationRow, publicUrl: string) {
  return {
    idempotencyKey: operation.idempotencyKey,
    kind: operation.kind,
    status: operation.status,
    ...(operation.code ? { code: operation.code } : {}),
    amountMinor: operation.amountMinor,
    currency: operation.currency,
    reference: operation.reference,
    authorizationId: operation.authorizationId,
    expiresAt: operation.expiresAt.toISOString(),
    card: { brand: operation.brand, last4: operation.last4 },
    ...(operation.status === "ACTION_REQUIRED" ? { actionUrl: `${publicUrl}/actions/${operation.actionId}` } : {}),
  };
}
