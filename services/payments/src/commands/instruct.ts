import type { EventOf } from "@crowdcrunch/events/contract";
import type { orderReassigned, paymentRequested } from "@crowdcrunch/events/orders";
import type { Waiting } from "@crowdcrunch/kit/consumer";
import type { Transaction } from "@crowdcrunch/kit/database";
import { obey, paymentOf } from "../instructions.ts";
import type { Instruction, WantedOperation, WantedRefund } from "../instructions.ts";
import type { DueOperation, Payment } from "../payment.ts";
import * as store from "../store.ts";

type PaymentRequested = EventOf<typeof paymentRequested>;

/**
 * Opens payments and asks for their authorization. `begin` receives those that may be sent at once, after the commit;
 * a further card has its turn when the former ones are settled. `presence` is the number of who takes them up.
 */
export async function openPayments(
  tx: Transaction,
  events: PaymentRequested[],
  presence: number | null,
  listener: { begin: (operations: DueOperation[]) => void; nudge: () => void },
): Promise<void> {
  if (events.length === 0) return;
  const incoming = events.map(({ data }) => ({
    id: data.paymentId,
    order_id: data.orderId,
    order_number: data.number,
    customer_id: data.customerId,
    currency: data.currency,
    amount_minor: data.amountMinor,
    attempt: data.attempt,
    token: data.paymentToken,
  }));
  const operations = await tx.many(store.openPayments, [JSON.stringify(incoming), presence]);
  if (operations.length > 0) tx.afterCommit(() => listener.begin(operations));
  if (operations.length < events.length) tx.afterCommit(listener.nudge);
}

/**
 * Notes captures, voids and refunds to be done, in the order of the instructions. An instruction waits while its payment
 * is unknown: a refund may name the payment of another order, which may lie on a partition that is behind.
 */
export async function obeyInstructions(tx: Transaction, events: Instruction[], onDue: () => void): Promise<Waiting> {
  const about = events.map((event) => ({ event, paymentId: paymentOf(event) }));
  const ids = [...new Set(about.map(({ paymentId }) => paymentId).filter((id) => id !== undefined))];
  if (ids.length === 0) return { wait: [] };
  const payments = new Map<string, Payment>(
    (await tx.many(store.lockPayments, [ids])).map((payment) => [payment.id, payment]),
  );
  const operations: WantedOperation[] = [];
  const refunds: WantedRefund[] = [];
  const wait: string[] = [];
  for (const { event, paymentId } of about) {
    if (paymentId === undefined) continue;
    const payment = payments.get(paymentId);
    if (!payment) {
      wait.push(event.id);
      continue;
    }
    const obeyed = obey(payment, event);
    payments.set(paymentId, obeyed.payment);
    if (obeyed.operation) operations.push(obeyed.operation);
    if (obeyed.refund) refunds.push(obeyed.refund);
  }
  if (payments.size > 0) {
    await tx.run(store.saveInstructions, [
      JSON.stringify([...payments.values()]),
      JSON.stringify(refunds),
      JSON.stringify(operations),
    ]);
    if (operations.length > 0) tx.afterCommit(onDue);
  }
  return { wait };
}

/** Gives the payments and refunds of orders to other customers; the last one of an order counts. */
export async function reassign(tx: Transaction, events: EventOf<typeof orderReassigned>[]): Promise<void> {
  if (events.length === 0) return;
  const owners = new Map(events.map(({ data }) => [data.orderId, data.customerId]));
  await tx.run(store.reassignOrders, [[...owners.keys()], [...owners.values()]]);
}
