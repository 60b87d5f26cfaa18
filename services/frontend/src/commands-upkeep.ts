import { cartAbandoned } from "@crowdcrunch/events/frontend";
import type { Database } from "@crowdcrunch/kit/database";
import { removeOldCarts } from "./store-closing.ts";
import { pruneBaskets, takeAbandonedCarts } from "./store-people.ts";

export interface UpkeepContext {
  db: Database;
  config: { CART_ABANDONED_HOURS: number; CART_KEEP_DAYS: number };
}

const batch = 100;

/** What happens to carts that nobody touches. */
export function createUpkeep({ db, config }: UpkeepContext) {
  return {
    /** Tells of carts whose owners left and asked to be reminded, each once. Resolves to true while there may be more. */
    remind(): Promise<boolean> {
      return db.transaction(async (tx) => {
        const carts = await takeAbandonedCarts(tx, config.CART_ABANDONED_HOURS, batch);
        for (const { cartId, customerId, lines } of carts) {
          if (lines) tx.emit(cartAbandoned.create({ cartId, customerId, lines }, { sequence: 1 }));
        }
        return carts.length === batch;
      });
    },

    /** Removes what nobody will need again. */
    async tidy(): Promise<void> {
      await db.transaction(async (tx) => {
        await removeOldCarts(tx, config.CART_KEEP_DAYS);
        await pruneBaskets(tx);
      });
    },
  };
}
