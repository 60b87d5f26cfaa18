/** Sends a plan's invoices and cancellations through the graph; what is there already is left as it is. */
import { bounded } from "./bounded.ts";
import { Failure } from "./failure.ts";
import { findCustomers, findOrderLines, findOrders, findReturns, findSkus, ordersNow, returnsNow } from "./ledgers.ts";
import type { Ledgers, OrderState } from "./ledgers.ts";
import type { Plan } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { isSettled, takeBack } from "./returning.ts";
import { isDone, sell } from "./selling.ts";
import type { Staff } from "./staff.ts";
import { createWatch } from "./watch.ts";

export interface Replaying {
  staff: Staff;
  ledgers: Ledgers;
  stop: AbortSignal;
  progress(what: string, total: number, done: number): Progress;
  /** Told of each invoice or cancellation that failed; the others go on. */
  complain(sentence: string): void;
}

/** Orders and returns on their way at once: enough to keep the shop busy, and few enough that none waits to its deadline. */
const underWay = 48;

/** Resolves to how many orders and returns failed. Rejects with an AbortError where it was stopped. */
export async function replay(replaying: Replaying, plan: Plan): Promise<number> {
  const unsold = await sellAll(replaying, plan);
  return unsold + (await takeBackAll(replaying, plan));
}

async function sellAll(replaying: Replaying, plan: Plan): Promise<number> {
  const { staff, ledgers, stop } = replaying;
  const orders = await findAll(ledgers, plan);
  const selling = {
    staff,
    watch: createWatch((ids) => ordersNow(ledgers, ids), stop),
    skus: await findSkus(ledgers, plan),
    customers: await findCustomers(ledgers, plan),
  };
  const open = plan.orders.filter(({ reference }) => !isDone(orders.get(reference)));
  return each(replaying, "invoices", plan.orders.length, open, async (one) => {
    await sell(selling, one, orders.get(one.reference));
  });
}

async function takeBackAll(replaying: Replaying, plan: Plan): Promise<number> {
  const { staff, ledgers, stop } = replaying;
  const orders = await findAll(ledgers, plan);
  const ids = [...new Set(plan.returns.flatMap(({ orderReference }) => orders.get(orderReference)?.id ?? []))];
  const lineIds = await findOrderLines(ledgers, ids);
  const known = new Map((await findReturns(ledgers, ids)).map((one) => [`${one.reference}/${one.orderId}`, one]));
  const returning = { staff, watch: createWatch((returnIds) => returnsNow(ledgers, returnIds), stop) };
  const knownOf = (reference: string, order: OrderState | undefined) => known.get(`${reference}/${order?.id}`);
  const open = plan.returns.filter((one) => !isSettled(knownOf(one.reference, orders.get(one.orderReference))));
  return each(replaying, "returns", plan.returns.length, open, async (one) => {
    const order = orders.get(one.orderReference);
    if (!order || !isDone(order)) throw new Failure(`the order of invoice ${one.orderReference} was not delivered`);
    await takeBack(returning, {
      plan: one,
      order,
      lineIds: lineIds.get(order.id)!,
      known: knownOf(one.reference, order),
    });
  });
}

function findAll(ledgers: Ledgers, plan: Plan): Promise<Map<string, OrderState>> {
  return findOrders(
    ledgers,
    plan.orders.map(({ reference }) => reference),
  );
}

/** Does `work` for each, many at once; one that fails is told of and counted. */
async function each<Item extends { reference: string }>(
  { stop, progress, complain }: Replaying,
  what: string,
  total: number,
  open: Item[],
  work: (item: Item) => Promise<void>,
): Promise<number> {
  const line = progress(what, total, total - open.length);
  let failed = 0;
  try {
    await bounded(open, underWay, stop, async (item) => {
      try {
        await work(item);
        line.tick();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failed++;
        complain(`${item.reference}: ${error.message}`);
      }
    });
  } finally {
    line.end();
  }
  return failed;
}
