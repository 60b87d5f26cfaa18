import { statement } from "@crowdcrunch/kit/database";
import type { Behaviour } from "./cards.ts";

export type OperationKind = "AUTHORIZE" | "CAPTURE" | "VOID" | "REFUND";
export type OperationStatus = "SUCCEEDED" | "FAILED" | "ACTION_REQUIRED";

/** An operation together with its authorization. */
export interface OperationRow {
  idempotencyKey: string;
  kind: OperationKind;
  status: OperationStatus;
  code: string | null;
  amountMinor: number;
  request: string;
  authorizationId: string;
  reference: string;
  currency: string;
  brand: string;
  last4: string;
  actionId: string | null;
  expiresAt: Date;
  behaviour: Behaviour;
}

export interface AuthorizationRow {
  id: string;
  reference: string;
  description: string | null;
  currency: string;
  amountMinor: number;
  held: boolean;
  capturedMinor: number;
  voidedMinor: number;
  refundedMinor: number;
  behaviour: Behaviour;
  returnUrl: string | null;
}

export const findToken = statement<{ behaviour: Behaviour; brand: string; last4: string }>(
  "findToken",
  `SELECT behaviour, brand, last4 FROM tokens WHERE token = $1`,
);
export const insertToken = statement(
  "insertToken",
  `INSERT INTO tokens (token, behaviour, brand, last4) VALUES ($1, $2, $3, $4)`,
);

/** One row if this is the key's first request. */
export const insertOutage = statement(
  "insertOutage",
  `INSERT INTO outages (idempotency_key) VALUES ($1) ON CONFLICT DO NOTHING`,
);

/** Opens an authorization under a new key; no row if the key was used. A callback id makes a callback due after $16 ms. */
export const insertAuthorization = statement<{ expiresAt: Date }>(
  "insertAuthorization",
  `WITH operation AS (
     INSERT INTO operations (idempotency_key, authorization_id, kind, status, code, amount_minor, request, settled_at)
     VALUES ($1, $2, 'AUTHORIZE', $3, $4, $5, $6, CASE WHEN $3 <> 'ACTION_REQUIRED' THEN now() END)
     ON CONFLICT DO NOTHING RETURNING idempotency_key
   ), callback AS (
     INSERT INTO callbacks (id, type, idempotency_key, next_attempt_at)
     SELECT $15, 'operation.settled', idempotency_key, now() + make_interval(secs => $16::float8 / 1000) FROM operation WHERE $15::text IS NOT NULL
   )
   INSERT INTO authorizations (id, reference, description, currency, amount_minor, held, behaviour, brand, last4, action_id, return_url)
   SELECT $2, $7, $8, $9, $5, $3 = 'SUCCEEDED', $10, $11, $12, $13, $14 FROM operation
   RETURNING expires_at AS "expiresAt"`,
);

const operationColumns = `o.idempotency_key AS "idempotencyKey", o.kind, o.status, o.code, o.amount_minor AS "amountMinor", o.request,
  a.id AS "authorizationId", a.reference, a.currency, a.brand, a.last4, a.action_id AS "actionId", a.expires_at AS "expiresAt", a.behaviour`;
export const findOperation = statement<OperationRow>(
  "findOperation",
  `SELECT ${operationColumns} FROM operations o JOIN authorizations a ON a.id = o.authorization_id WHERE o.idempotency_key = $1`,
);
export const findAuthorizing = statement<OperationRow>(
  "findAuthorizing",
  `SELECT ${operationColumns} FROM operations o JOIN authorizations a ON a.id = o.authorization_id
   WHERE a.action_id = $1 AND o.kind = 'AUTHORIZE'`,
);

export const lockAuthorization = statement<AuthorizationRow>(
  "lockAuthorization",
  `SELECT id, reference, description, currency, amount_minor AS "amountMinor", held, captured_minor AS "capturedMinor",
     voided_minor AS "voidedMinor", refunded_minor AS "refundedMinor", behaviour, return_url AS "returnUrl"
   FROM authorizations WHERE id = $1 FOR UPDATE`,
);
export const lockAction = statement<AuthorizationRow & { status: OperationStatus; idempotencyKey: string }>(
  "lockAction",
  `SELECT a.id, a.reference, a.description, a.currency, a.amount_minor AS "amountMinor", a.held, a.captured_minor AS "capturedMinor",
     a.voided_minor AS "voidedMinor", a.refunded_minor AS "refundedMinor", a.behaviour, a.return_url AS "returnUrl",
     o.status, o.idempotency_key AS "idempotencyKey"
   FROM authorizations a JOIN operations o ON o.authorization_id = a.id AND o.kind = 'AUTHORIZE'
   WHERE a.action_id = $1 FOR UPDATE`,
);
export const insertOperation = statement(
  "insertOperation",
  `INSERT INTO operations (idempotency_key, authorization_id, kind, status, code, amount_minor, request, settled_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, now())`,
);
export const moveMoney = statement(
  "moveMoney",
  `UPDATE authorizations SET captured_minor = captured_minor + $2, voided_minor = voided_minor + $3, refunded_minor = refunded_minor + $4
   WHERE id = $1`,
);
export const hold = statement("hold", `UPDATE authorizations SET held = true WHERE id = $1`);
export const settleAuthorizing = statement(
  "settleAuthorizing",
  `UPDATE operations SET status = $2, code = $3, settled_at = now()
   WHERE authorization_id = $1 AND kind = 'AUTHORIZE' AND status = 'ACTION_REQUIRED'`,
);

export const insertCallback = statement(
  "insertCallback",
  `INSERT INTO callbacks (id, type, idempotency_key) VALUES ($1, $2, $3)`,
);
/** Takes callbacks that are due; another try follows after 0.5 s, doubled up to 5 min, for three days. */
export const claimCallbacks = statement<OperationRow & { callbackId: string; type: string }>(
  "claimCallbacks",
  `WITH due AS (
     UPDATE callbacks SET attempts = attempts + 1,
       next_attempt_at = now() + least(interval '5 minutes', interval '500 milliseconds' * power(2, least(attempts, 12)))
     WHERE id IN (
       SELECT id FROM callbacks WHERE delivered_at IS NULL AND next_attempt_at <= now() AND created_at > now() - interval '3 days'
       ORDER BY next_attempt_at LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING id, type, idempotency_key
   )
   SELECT due.id AS "callbackId", due.type, ${operationColumns}
   FROM due JOIN operations o ON o.idempotency_key = due.idempotency_key JOIN authorizations a ON a.id = o.authorization_id`,
);
export const markDelivered = statement(
  "markDelivered",
  `UPDATE callbacks SET delivered_at = now() WHERE id = ANY($1::text[])`,
);
