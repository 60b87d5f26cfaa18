import type { Database, Transaction } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { Logger } from "@crowdcrunch/kit/logger";
import { eventOf } from "../announcements.ts";
import type { Posting } from "../ledger.ts";
import type { Operation, Payment } from "../payment.ts";
import { operationOfKey } from "../provider.ts";
import type { Report } from "../provider.ts";
import * as store from "../store.ts";
import { decide, isSettled } from "../transition.ts";
import type { Announcement } from "../transition.ts";

/** What became of a report: it changed something, nothing, or cannot be true; `stale` was sent too long ago. */
export type Verdict = "applied" | "ignored" | "rejected" | "stale";

export interface Settlement {
  report: Report;
  source: "reply" | "look-up" | "callback";
  /** When a callback was sent: one that is older than five minutes, or from the future, may be a recording. */
  sentAt?: Date;
}

export interface SettleContext {
  db: Database;
  newId: () => string;
  log: Logger;
  /** Operations behind the settled ones may be due now. */
  onDue: () => void;
}

const callbackToleranceMs = 300_000;
/** Replies to requests that were sent together come together: waiting this long stores them in one transaction. */
const gatherMs = 2;
const batch = 200;

interface Pending {
  settlement: Settlement;
  resolve: (verdict: Verdict) => void;
  reject: (error: unknown) => void;
}

/**
 * Makes `settle`: the one way in which an outcome is stored, whoever reports it. Reports that are there at the same time
 * share a transaction; if that fails they are stored one by one, so that only the guilty one rejects.
 */
export function createSettle(context: SettleContext): (settlement: Settlement) => Promise<Verdict> {
  const queue: Pending[] = [];
  let running = false;

  async function settleGroup(group: Pending[]): Promise<void> {
    const verdicts = await settleAll(
      context,
      group.map(({ settlement }) => settlement),
    );
    for (const [index, { resolve }] of group.entries()) resolve(verdicts[index] as Verdict);
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const group = queue.splice(0, batch);
      try {
        await settleGroup(group);
      } catch (cause) {
        if (group.length > 1) context.log.warn({ error: (cause as Error).message }, "outcomes are stored one by one");
        for (const pending of group) await settleGroup([pending]).catch(pending.reject);
      }
    }
    running = false;
  }

  return (settlement) =>
    new Promise((resolve, reject) => {
      queue.push({ settlement, resolve, reject });
      if (running) return;
      running = true;
      setTimeout(() => void drain(), gatherMs);
    });
}

interface Changes {
  payments: Map<string, Payment>;
  operations: Map<number, Operation>;
  postings: Posting[];
  refunds: { id: string; status: string; code: string | null; version: number }[];
}

async function settleAll(context: SettleContext, settlements: Settlement[]): Promise<Verdict[]> {
  const { db, log } = context;
  return db.transaction(async (tx) => {
    const identities = settlements.map(({ report }) => operationOfKey(report.idempotencyKey));
    const known = identities.filter((identity) => identity !== undefined);
    const [payments, operations] = await Promise.all([
      tx.many(store.lockPayments, [[...new Set(known.map(({ paymentId }) => paymentId))]]),
      tx.many(store.operationsToSettle, [
        known.map(({ paymentId }) => paymentId),
        known.map(({ kind }) => kind),
        known.map(({ sequence }) => sequence),
        known.map(({ attempt }) => attempt),
      ]),
    ]);
    const state = {
      payments: new Map(payments.map((payment) => [payment.id, payment])),
      operations: new Map(operations.map((operation) => [operation.id, operation])),
    };
    const changes: Changes = { payments: new Map(), operations: new Map(), postings: [], refunds: [] };
    const verdicts: Verdict[] = [];

    for (const [index, settlement] of settlements.entries()) {
      const { report, source, sentAt } = settlement;
      const refuse = (why: string): Promise<void> => {
        log.error({ key: report.idempotencyKey, source, outcome: report.outcome.kind, why }, "an outcome is rejected");
        verdicts.push("rejected");
        // The provider and we disagree about money: a person must look.
        return openIncident(tx, context.newId, {
          kind: "OUTCOME_REJECTED",
          subject: report.idempotencyKey,
          detail: `${source}, ${report.outcome.kind}: ${why}.`,
        });
      };
      const identity = identities[index];
      const payment = identity && state.payments.get(identity.paymentId);
      const open = [...state.operations.values()].filter(({ paymentId }) => paymentId === payment?.id);
      const operation = open.find(
        ({ kind, sequence, attempt }) =>
          kind === identity?.kind && sequence === identity.sequence && attempt === identity.attempt,
      );
      if (!payment || !operation) {
        await refuse("there is no such operation");
        continue;
      }
      const { now } = payment as Payment & { now: Date };
      if (sentAt && Math.abs(now.getTime() - sentAt.getTime()) > callbackToleranceMs) {
        log.error({ key: report.idempotencyKey }, "a callback was sent too long ago, or by a wrong clock");
        verdicts.push("stale");
        continue;
      }
      if (report.currency !== payment.currency || report.orderId !== payment.orderId) {
        await refuse("it is about another order or currency");
        continue;
      }
      const decision = decide(
        payment,
        operation,
        open.filter((other) => !isSettled(other)),
        report.outcome,
        now,
      );
      if (decision.kind === "rejected") await refuse(decision.why);
      else verdicts.push(decision.kind);
      if (decision.kind !== "applied") continue;

      const after = { ...decision.payment, now };
      for (const changed of decision.operations) {
        state.operations.set(changed.id, changed);
        changes.operations.set(changed.id, changed);
      }
      changes.postings.push(...decision.postings);
      if (decision.announcement)
        await announce(context, tx, changes, after, decision.operations[0] as Operation, decision.announcement);
      state.payments.set(after.id, after);
      changes.payments.set(after.id, after);
    }

    await save(context, tx, changes);
    // What waits for the shopper holds up nothing behind it.
    const moved = new Set(
      [...changes.operations.values()].filter(({ status }) => !isWaiting(status)).map(({ paymentId }) => paymentId),
    );
    const more = [...state.operations.values()].some(
      ({ status, paymentId }) => isWaiting(status) && moved.has(paymentId),
    );
    if (more) tx.afterCommit(context.onDue);
    return verdicts;
  });
}

/** It has its turn yet, and those behind it wait. */
function isWaiting(status: Operation["status"]): boolean {
  return status === "PENDING" || status === "UNKNOWN";
}

/** Emits the event and counts the version up, of the payment or of the refund; opens and closes what staff see. */
async function announce(
  context: SettleContext,
  tx: Transaction,
  changes: Changes,
  payment: Payment,
  operation: Operation,
  announcement: Announcement,
): Promise<void> {
  const event = eventOf(payment, operation, announcement);
  if (event) tx.emit(event);
  if (announcement.event === "refund-settled" || announcement.event === "refund-failed") {
    const { id, version } = operation.refund as NonNullable<Operation["refund"]>;
    changes.refunds.push({
      id,
      status: announcement.event === "refund-settled" ? "SETTLED" : "FAILED",
      code: operation.code,
      version: version + 1,
    });
  } else if (event) {
    payment.version += 1;
  }
  const incident = { kind: `${operation.kind}_FAILED`, subject: `${payment.id}/${operation.sequence}` };
  if (operation.status === "FAILED" && operation.kind !== "AUTHORIZE") {
    const detail = `Order ${payment.orderId}: the provider refused ${operation.amountMinor} ${payment.currency} with ${operation.code}.`;
    await openIncident(tx, context.newId, { ...incident, detail });
  } else if (operation.status === "SUCCEEDED" && operation.attempt > 1) {
    await tx.run(store.closeIncident, [incident.kind, incident.subject]);
  }
}

async function save(context: SettleContext, tx: Transaction, changes: Changes): Promise<void> {
  if (changes.operations.size === 0) return;
  const transactions = changes.postings.map((posting) => ({ id: context.newId(), ...posting }));
  const entries = transactions.flatMap(({ id, currency, entries: lines }) =>
    lines.map((entry, index) => ({ transactionId: id, line: index + 1, currency, ...entry })),
  );
  await Promise.all([
    tx.run(store.saveTransitions, [
      JSON.stringify([...changes.payments.values()]),
      JSON.stringify([...changes.operations.values()]),
    ]),
    ...(changes.refunds.length > 0 ? [tx.run(store.settleRefunds, [JSON.stringify(changes.refunds)])] : []),
    ...(transactions.length > 0
      ? [tx.run(store.postEntries, [JSON.stringify(transactions), JSON.stringify(entries)])]
      : []),
  ]);
}
