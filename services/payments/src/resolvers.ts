import type { Database } from "@crowdcrunch/kit/database";
import { invalid } from "@crowdcrunch/kit/errors";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Commands } from "./commands.ts";
import type { Resolvers } from "./generated/graphql.ts";
import { amountPaid, amountRefunded, money } from "./graph.ts";
import type { GraphOrder } from "./graph.ts";
import * as store from "./graph-store.ts";

const beforeAll = "00000000-0000-0000-0000-000000000000";

/** GraphQL in and out of payments. */
export function createResolvers({ db, commands }: { db: Database; commands: Commands }): Resolvers {
  const paymentById = async (ids: readonly string[]) =>
    inOrderOf(ids, await db.many(store.paymentsById, [ids]), (row) => row.id);
  const refundById = async (ids: readonly string[]) =>
    inOrderOf(ids, await db.many(store.refundsById, [ids]), (row) => row.id);
  const refundsOf = async (ids: readonly string[]) =>
    groupedInOrderOf(ids, await db.many(store.refundsOfPayments, [ids]), (row) => row.paymentId);
  const operationsOf = async (ids: readonly string[]) =>
    groupedInOrderOf(ids, await db.many(store.operationsOfPayments, [ids]), (row) => row.paymentId);

  async function orderById(ids: readonly string[]): Promise<(GraphOrder | undefined)[]> {
    const [payments, refunds] = await Promise.all([
      db.many(store.paymentsOfOrders, [ids]),
      db.many(store.refundsOfOrders, [ids]),
    ]);
    const paymentsOf = groupedInOrderOf(ids, payments, (row) => row.orderId);
    const refundsOfOrder = groupedInOrderOf(ids, refunds, (row) => row.orderId);
    return ids.map((id, index) => {
      const order = { id, payments: paymentsOf[index] ?? [], refunds: refundsOfOrder[index] ?? [] };
      const customerId = (order.payments[0] ?? order.refunds[0])?.customerId;
      return customerId === undefined ? undefined : { ...order, customerId };
    });
  }

  return {
    Query: {
      payment: (_, { id }, context) => context.load(paymentById, requireUuid(id, "id")),
      async ledger(_, { account, first, after }) {
        const size = pageSize(first);
        const [transactionId, line] = cursorOf(after);
        const rows = await db.many(store.pageOfLedger, [account ?? null, transactionId, line, size + 1]);
        const nodes = rows.slice(0, size);
        const last = nodes.at(-1);
        return { nodes, pageInfo: { hasNextPage: rows.length > size, endCursor: last ? entryId(last) : null } };
      },
    },
    Mutation: {
      retryPaymentOperation: async (_, { input }, context) => ({
        __typename: "PaymentOperationRetried",
        paymentId: await commands.retry(requireViewer(context.viewer), input),
      }),
    },
    Order: {
      __resolveReference: ({ id }, context) => context.load(orderById, requireUuid(id, "id")),
      payments: ({ payments }) => (payments.length > 0 ? payments : null),
      amountPaid,
      amountRefunded,
    },
    Payment: {
      __resolveReference: ({ id }, context) => context.load(paymentById, requireUuid(id, "id")),
      order: ({ orderId }, _, context) => context.load(orderById, orderId),
      amount: (payment) => money(payment.amountMinor, payment.currency),
      authorized: (payment) => money(payment.authorizedMinor, payment.currency),
      captured: (payment) => money(payment.capturedMinor, payment.currency),
      voided: (payment) => money(payment.voidedMinor, payment.currency),
      refunded: (payment) => money(payment.refundedMinor, payment.currency),
      card: ({ cardBrand, cardLast4 }) => (cardBrand && cardLast4 ? { brand: cardBrand, last4: cardLast4 } : null),
      refunds: async ({ id }, _, context) => (await context.load(refundsOf, id)) ?? [],
      operations: async ({ id }, _, context) => (await context.load(operationsOf, id)) ?? [],
    },
    Refund: {
      __resolveReference: ({ id }, context) => context.load(refundById, requireUuid(id, "id")),
      payment: ({ paymentId }, _, context) => context.load(paymentById, paymentId),
      order: ({ orderId }, _, context) => context.load(orderById, orderId),
      amount: (refund) => money(refund.amountMinor, refund.currency),
    },
    PaymentOperation: { amount: (operation) => money(operation.amountMinor, operation.currency) },
    LedgerEntry: {
      id: entryId,
      payment: ({ paymentId }, _, context) => context.load(paymentById, paymentId),
      amount: (entry) => money(entry.amountMinor, entry.currency),
    },
    PaymentOperationRetried: {
      payment: async ({ paymentId }, _, context) => (await context.load(paymentById, paymentId)) as store.PaymentRow,
    },
  };
}

function entryId({ transactionId, line }: { transactionId: string; line: number }): string {
  return `${transactionId}.${line}`;
}

function cursorOf(after: string | null | undefined): [transactionId: string, line: number] {
  if (!after) return [beforeAll, 0];
  const [transactionId = "", line = ""] = after.split(".");
  if (!/^\d{1,4}$/.test(line)) throw invalid("after", "This is not the endCursor of a page.");
  return [requireUuid(transactionId, "after"), Number(line)];
}
