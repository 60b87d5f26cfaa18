import type { EventOf } from "@crowdcrunch/events/contract";
import type { consentChanged, customerErased } from "@crowdcrunch/events/customers";
import type { availabilityChanged, productChanged } from "@crowdcrunch/events/inventory";
import type { orderCancelled, orderPlaced, orderRejected } from "@crowdcrunch/events/orders";
import type { guestClaimed } from "@crowdcrunch/events/users";
import type { Transaction } from "@crowdcrunch/kit/database";
import { newestBy } from "@crowdcrunch/kit/newest";
import { pairsOf } from "./basket.ts";
import type { Cart } from "./cart.ts";
import { mayClose, splitByOrder } from "./cart.ts";
import type { ClosedCart, OrderOfCart } from "./store-closing.ts";
import {
  claimCarts,
  closeCarts,
  keepEarlyOrders,
  lockOpenCarts,
  openRestOf,
  removeCartsOf,
  reopenCart,
  takeEarlyOrders,
} from "./store-closing.ts";
import { saveAvailabilities, saveProducts } from "./store-pages.ts";
import { findErased, forgetPeople, removePurchasesOf, saveBaskets, saveConsents } from "./store-people.ts";

/** What frontend does with the events of others, a batch at a time. */
export function createEventCommands({ newId }: { newId: () => string }) {
  /** Closes carts by orders of their owners; what was not ordered goes on in an open cart. */
  async function close(tx: Transaction, carts: Cart[], orders: OrderOfCart[], ownerOf: (cart: Cart) => string) {
    const closed: ClosedCart[] = [];
    const rests: { closedId: string; rest: Cart["lines"] }[] = [];
    for (const cart of carts) {
      const order = orders.find(({ cartId }) => cartId === cart.id);
      if (!order) continue;
      const { taken, rest } = splitByOrder(cart.lines, order.lines);
      if (Object.keys(taken).length === 0) continue;
      closed.push({ cartId: cart.id, orderId: order.orderId, customerId: ownerOf(cart), lines: taken });
      if (Object.keys(rest).length > 0) rests.push({ closedId: cart.id, rest });
    }
    await closeCarts(tx, closed);
    for (const { closedId, rest } of rests) await openRestOf(tx, closedId, newId(), rest);
  }

  async function closeOrdered(tx: Transaction, orders: OrderOfCart[]): Promise<void> {
    if (orders.length === 0) return;
    const carts = await lockOpenCarts(
      tx,
      orders.map(({ cartId }) => cartId),
    );
    const byId = new Map(carts.map((cart) => [cart.id, cart]));
    const owners = orders.filter(({ cartId, customerId }) => {
      const cart = byId.get(cartId);
      return cart && mayClose(cart, customerId);
    });
    await close(tx, carts, owners, (cart) => cart.customerId);
    // Either the account's claim of the guest has not come yet, or somebody named a stranger's cart: the claim will tell.
    await keepEarlyOrders(
      tx,
      orders.filter((order) => byId.has(order.cartId) && !owners.includes(order)),
    );
  }

  return {
    /** Orders close their carts and tell what is bought together; those that come to nothing open their carts again. */
    async followOrders(
      tx: Transaction,
      events: EventOf<typeof orderPlaced | typeof orderRejected | typeof orderCancelled>[],
    ): Promise<void> {
      const placed = events.filter((event) => event.type === "orders.order-placed.v1").map(({ data }) => data);
      await closeOrdered(
        tx,
        placed.flatMap(({ cartId, orderId, customerId, lines }) =>
          cartId === undefined
            ? []
            : [{ cartId, orderId, customerId, lines: lines.map(({ skuId, quantity }) => ({ skuId, quantity })) }],
        ),
      );
      const baskets = placed
        .filter(({ kind }) => kind === "SALE")
        .map(({ customerId, lines }) => ({
          customerId,
          productIds: [...new Set(lines.map((line) => line.productId))],
        }));
      await saveBaskets(tx, baskets.flatMap(pairsOf), baskets);
      for (const { type, data } of events) {
        if (type === "orders.order-placed.v1" || data.cartId === undefined) continue;
        if (type === "orders.order-cancelled.v1" && !(data.whole && data.beforeConfirmed)) continue;
        await reopenCart(tx, data.cartId, data.orderId);
      }
    },

    /** A guest's cart follows to the account. */
    async claimGuests(tx: Transaction, events: EventOf<typeof guestClaimed>[]): Promise<void> {
      const erased = await findErased(
        tx,
        events.map(({ data }) => data.userId),
      );
      for (const { guestId, userId } of events.map(({ data }) => data)) {
        if (erased.has(userId)) {
          await removeCartsOf(tx, [guestId]);
          continue;
        }
        const early = await takeEarlyOrders(tx, guestId, userId);
        const carts = await lockOpenCarts(
          tx,
          early.map(({ cartId }) => cartId),
        );
        await close(tx, carts, early, () => userId);
        await claimCarts(tx, guestId, userId);
      }
    },

    /** Takes over pages; of several changes of one product in a batch the newest counts. */
    async takeProducts(tx: Transaction, events: EventOf<typeof productChanged>[]): Promise<void> {
      const newest = newestBy(
        events.map(({ data }) => data),
        ({ productId }) => productId,
      );
      await saveProducts(
        tx,
        newest.map(({ skus, image, ...product }) => ({
          ...product,
          image: image ?? null,
          skus: skus.map((sku, position) => ({ ...sku, productId: product.productId, position })),
        })),
      );
    },

    async takeAvailabilities(tx: Transaction, events: EventOf<typeof availabilityChanged>[]): Promise<void> {
      await saveAvailabilities(
        tx,
        newestBy(
          events.map(({ data }) => data),
          ({ skuId }) => skuId,
        ),
      );
    },

    /** Remembers who agreed to what; whoever does not agree to recommendations any more has no purchases here. */
    async takeConsents(tx: Transaction, events: EventOf<typeof consentChanged>[]): Promise<void> {
      const rows = events.map(({ data, sequence }) => ({ ...data, version: sequence }));
      const newest = newestBy(rows, ({ customerId, purpose }) => `${customerId} ${purpose}`);
      await saveConsents(tx, newest);
      const declined = newest.filter(({ purpose, granted }) => purpose === "RECOMMENDATIONS" && !granted);
      await removePurchasesOf(
        tx,
        declined.map(({ customerId }) => customerId),
      );
    },

    async erase(tx: Transaction, events: EventOf<typeof customerErased>[]): Promise<void> {
      const customerIds = events.map(({ data }) => data.customerId);
      await removeCartsOf(tx, customerIds);
      await forgetPeople(tx, customerIds);
    },
  };
}

export type EventCommands = ReturnType<typeof createEventCommands>;
