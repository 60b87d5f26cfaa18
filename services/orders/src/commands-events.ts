import type { customerErased } from "@crowdcrunch/events/customers";
import type { EventOf } from "@crowdcrunch/events/contract";
import type { replacementRequested, replacementWithdrawn, returnInspected } from "@crowdcrunch/events/exchanges";
import type { productChanged } from "@crowdcrunch/events/inventory";
import { orderReassigned } from "@crowdcrunch/events/orders";
import type { guestClaimed } from "@crowdcrunch/events/users";
import type { Waiting } from "@crowdcrunch/kit/consumer";
import type { Transaction } from "@crowdcrunch/kit/database";
import { newestBy } from "@crowdcrunch/kit/newest";
import type { ReplacementCommands } from "./commands-replacement.ts";
import type { Order, Outcome } from "./order.ts";
import { noEffects, note, onOrderKey } from "./order.ts";
import type { SagaEvent } from "./saga.ts";
import { decide } from "./saga.ts";
import { findCancellations, findRefunds, openBook } from "./store.ts";
import { saveProducts } from "./store-catalogue.ts";
import { eraseCustomers, findOrdersOfGuest } from "./store-lists.ts";

export type OrderEvent =
  | SagaEvent
  | EventOf<typeof returnInspected | typeof replacementRequested | typeof replacementWithdrawn>;

/** What orders does with the events of others, a batch at a time. */
export function createEventCommands(context: { newId: () => string; replacements: ReplacementCommands }) {
  const { newId, replacements } = context;

  return {
    /** Everything on orders' keys, in the order in which it came: the whole batch with one load and one save a table. */
    async advanceOrders(tx: Transaction, events: OrderEvent[]): Promise<Waiting> {
      const children = await replacements.childrenOf(tx, events);
      const book = await openBook(tx, [...events.map((event) => event.data.orderId), ...children.values()]);
      const refunds = await findRefunds(tx, idsIn(events, "refundId"));
      const cancellations = await findCancellations(tx, idsIn(events, "cancellationId"));
      const effects = noEffects(newId);

      async function outcomeOf(order: Order, event: OrderEvent): Promise<Outcome> {
        const child = book.get(children.get(idIn(event, "exchangeId") ?? "") ?? "");
        switch (event.type) {
          case "exchanges.return-inspected.v1":
            return replacements.inspect(tx, order, child, event, effects);
          case "exchanges.replacement-requested.v1":
            return child ? "ignore" : replacements.request(tx, order, event, effects);
          case "exchanges.replacement-withdrawn.v1":
            return replacements.withdraw(child, effects);
          default: {
            const refund = refunds.get(idIn(event, "refundId") ?? "");
            const cancellation = cancellations.get(idIn(event, "cancellationId") ?? "");
            return decide(order, event, { refund, cancellation }, effects);
          }
        }
      }

      const wait: string[] = [];
      for (const event of events) {
        const order = book.get(event.data.orderId);
        if (order && (await outcomeOf(order, event)) === "wait") wait.push(event.id);
      }
      await book.save(effects);
      return { wait };
    },

    /** Takes over products; of several changes of one product in a batch the newest counts. */
    async takeProducts(tx: Transaction, events: EventOf<typeof productChanged>[]): Promise<void> {
      const newest = newestBy(
        events.map(({ data }) => data),
        ({ productId }) => productId,
      );
      const products = newest.map((product) => ({
        id: product.productId,
        version: product.version,
        skus: product.skus.map((sku) => ({
          skuId: sku.skuId,
          productId: product.productId,
          name: sku.name,
          digital: sku.digital,
          taxClass: sku.taxClass,
          priceVersion: sku.priceVersion,
          onSale: product.published,
          prices: Object.fromEntries(sku.prices.map((price) => [price.currency, price.amountMinor])),
        })),
      }));
      await saveProducts(tx, products);
    },

    /** A guest's orders follow to the account; an erased customer's orders forget who that was. */
    async followPeople(tx: Transaction, events: EventOf<typeof guestClaimed | typeof customerErased>[]): Promise<void> {
      for (const event of events) {
        if (event.type === "customers.customer-erased.v1") {
          await eraseCustomers(tx, [event.data.customerId]);
          continue;
        }
        const { guestId, userId } = event.data;
        const book = await openBook(tx, await findOrdersOfGuest(tx, guestId));
        const effects = noEffects(newId);
        for (const order of book.all()) {
          order.customerId = userId;
          note(effects, order, "REASSIGNED");
          effects.events.push(
            orderReassigned.create({ ...onOrderKey(order), previousCustomerId: guestId }, { sequence: order.version }),
          );
        }
        await book.save(effects);
      }
    },
  };
}

export type EventCommands = ReturnType<typeof createEventCommands>;

type Named = "refundId" | "cancellationId" | "exchangeId";

function idIn(event: OrderEvent, property: Named): string | undefined {
  return (event.data as Partial<Record<Named, string>>)[property];
}

function idsIn(events: OrderEvent[], property: Named): string[] {
  return events.flatMap((event) => idIn(event, property) ?? []);
}
