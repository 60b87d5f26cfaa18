import { randomBytes } from "node:crypto";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { declineCode, fixedCard } from "./cards.ts";
import type { Card } from "./cards.ts";
import * as store from "./store.ts";
import type { AuthorizationRow, OperationKind, OperationRow } from "./store.ts";

/** A request that is wrong in itself; nothing is in the book. */
export class Refusal extends Error {
  override name = "Refusal";
  statusCode: number;
  code: string;
  constructor(statusCode: number, code: string, message: string) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
  }
}

export interface AuthorizationRequest {
  idempotencyKey: string;
  /** The shop's own name for what is paid. */
  reference: string;
  /** What the card's owner reads. */
  description?: string;
  amountMinor: number;
  currency: string;
  /** A token. */
  source: string;
  /** Where the card's owner goes after an action. */
  returnUrl?: string;
}

export interface Book {
  authorize(request: AuthorizationRequest): Promise<OperationRow>;
  capture(authorizationId: string, request: { idempotencyKey: string; amountMinor: number }): Promise<OperationRow>;
  /** Releases what is held and not captured; the operation's amount says how much that was. */
  void(authorizationId: string, request: { idempotencyKey: string }): Promise<OperationRow>;
  refund(authorizationId: string, request: { idempotencyKey: string; amountMinor: number }): Promise<OperationRow>;
  find(idempotencyKey: string): Promise<OperationRow | undefined>;
  /** The card's owner decides; a second decision changes nothing. Resolves to undefined for an unknown action. */
  decideAction(actionId: string, authorised: boolean): Promise<{ returnUrl: string | null } | undefined>;
  /** What an action is about. */
  findAction(actionId: string): Promise<OperationRow | undefined>;
}

interface Move {
  kind: OperationKind;
  amountMinor: number;
  code?: string | undefined;
  captured?: number;
  voided?: number;
  refunded?: number;
}

/**
 * The provider's book. Each key is executed once and answers the same ever after; another request with the same key is
 * refused. `callBackAll` makes a callback for every operation, else only for those that the reply cannot tell.
 */
export function createBook(options: {
  db: Database;
  callBackAll: boolean;
  latencyMs: number;
  onCallback: () => void;
}): Book {
  const { db, callBackAll } = options;

  async function cardOf(token: string): Promise<Card> {
    const card = fixedCard(token) ?? (await db.one(store.findToken, [token]));
    if (!card) throw new Refusal(422, "UNKNOWN_TOKEN", "There is no such token.");
    return card;
  }

  async function repeated(idempotencyKey: string, request: string): Promise<OperationRow> {
    const operation = await db.one(store.findOperation, [idempotencyKey]);
    if (operation?.request !== request)
      throw new Refusal(409, "IDEMPOTENCY_KEY_REUSED", "This key was used for another request.");
    return operation;
  }

  /** Runs under the authorization's row lock, so that a repeat finds the first. */
  async function move(
    authorizationId: string,
    idempotencyKey: string,
    request: string,
    decide: (authorization: AuthorizationRow) => Move,
  ): Promise<OperationRow> {
    return db.transaction(async (tx) => {
      const authorization = await tx.one(store.lockAuthorization, [authorizationId]);
      if (!authorization) throw new Refusal(404, "UNKNOWN_AUTHORIZATION", "There is no such authorization.");
      const known = await tx.one(store.findOperation, [idempotencyKey]);
      if (known) {
        if (known.request !== request)
          throw new Refusal(409, "IDEMPOTENCY_KEY_REUSED", "This key was used for another request.");
        return known;
      }
      const { kind, amountMinor, code, captured = 0, voided = 0, refunded = 0 } = decide(authorization);
      await tx.run(store.insertOperation, [
        idempotencyKey,
        authorizationId,
        kind,
        code ? "FAILED" : "SUCCEEDED",
        code ?? null,
        amountMinor,
        request,
      ]);
      if (!code) await tx.run(store.moveMoney, [authorizationId, captured, voided, refunded]);
      if (kind === "VOID") await tx.run(store.settleAuthorizing, [authorizationId, "FAILED", "VOIDED"]);
      if (callBackAll) await callBack(tx, "operation.settled", idempotencyKey);
      if (kind === "CAPTURE" && !code && authorization.behaviour === "disputed")
        await callBack(tx, "authorization.disputed", idempotencyKey);
      return (await tx.one(store.findOperation, [idempotencyKey])) as OperationRow;
    });
  }

  async function callBack(tx: Transaction, type: string, idempotencyKey: string): Promise<void> {
    await tx.run(store.insertCallback, [newName("cb"), type, idempotencyKey]);
    tx.afterCommit(options.onCallback);
  }

  return {
    async authorize({ idempotencyKey, reference, description, amountMinor, currency, source, returnUrl }) {
      const request = JSON.stringify(["AUTHORIZE", reference, amountMinor, currency, source]);
      const card = await cardOf(source);
      if (card.behaviour === "error" && (await db.run(store.insertOutage, [idempotencyKey])) === 1)
        throw new Error("an outage on purpose");
      const code = declineCode(card.behaviour) ?? null;
      const wantsAction = card.behaviour === "action_required";
      const status = code ? "FAILED" : wantsAction ? "ACTION_REQUIRED" : "SUCCEEDED";
      const authorizationId = newName("auth");
      const actionId = wantsAction ? newName("act") : null;
      const unanswered = card.behaviour === "timeout";
      const callbackId = callBackAll || unanswered ? newName("cb") : null;
      // Who waits for an answer that does not come hears of it later, as from a real provider.
      const callBackAfterMs = unanswered ? options.latencyMs + 2_000 : 0;
      const inserted = await db.one(store.insertAuthorization, [
        ...[
          idempotencyKey,
          authorizationId,
          status,
          code,
          amountMinor,
          request,
          reference,
          description ?? null,
          currency,
        ],
        ...[card.behaviour, card.brand, card.last4, actionId, returnUrl ?? null, callbackId, callBackAfterMs],
      ]);
      if (!inserted) return repeated(idempotencyKey, request);
      if (callbackId) options.onCallback();
      return {
        idempotencyKey,
        kind: "AUTHORIZE",
        status,
        code,
        amountMinor,
        request,
        authorizationId,
        reference,
        currency,
        actionId,
        ...card,
        ...inserted,
      };
    },
    capture: (id, { idempotencyKey, amountMinor }) =>
      move(id, idempotencyKey, JSON.stringify(["CAPTURE", id, amountMinor]), (authorization) => {
        const left = authorization.held
          ? authorization.amountMinor - authorization.capturedMinor - authorization.voidedMinor
          : 0;
        const code =
          authorization.behaviour === "capture_fails"
            ? "CAPTURE_DECLINED"
            : amountMinor > left
              ? "NOT_HELD"
              : undefined;
        return { kind: "CAPTURE", amountMinor, code, captured: amountMinor };
      }),
    void: (id, { idempotencyKey }) =>
      move(id, idempotencyKey, JSON.stringify(["VOID", id]), (authorization) => {
        const left = authorization.held
          ? authorization.amountMinor - authorization.capturedMinor - authorization.voidedMinor
          : 0;
        return { kind: "VOID", amountMinor: left, voided: left };
      }),
    refund: (id, { idempotencyKey, amountMinor }) =>
      move(id, idempotencyKey, JSON.stringify(["REFUND", id, amountMinor]), (authorization) => {
        const left = authorization.capturedMinor - authorization.refundedMinor;
        const code =
          authorization.behaviour === "refund_fails"
            ? "REFUND_DECLINED"
            : amountMinor > left
              ? "NOT_CAPTURED"
              : undefined;
        return { kind: "REFUND", amountMinor, code, refunded: amountMinor };
      }),
    find: (idempotencyKey) => db.one(store.findOperation, [idempotencyKey]),
    findAction: (actionId) => db.one(store.findAuthorizing, [actionId]),
    decideAction: (actionId, authorised) =>
      db.transaction(async (tx) => {
        const action = await tx.one(store.lockAction, [actionId]);
        if (action?.status === "ACTION_REQUIRED") {
          if (authorised) await tx.run(store.hold, [action.id]);
          await tx.run(store.settleAuthorizing, [
            action.id,
            authorised ? "SUCCEEDED" : "FAILED",
            authorised ? null : "AUTHENTICATION_FAILED",
          ]);
          await callBack(tx, "operation.settled", action.idempotencyKey);
        }
        return action && { returnUrl: action.returnUrl };
      }),
  };
}

/** A new unguessable name, e.g. auth_4fA…. */
export function newName(prefix: string): string {
  return `${prefix}_${randomBytes(16).toString("base64url")}`;
}
