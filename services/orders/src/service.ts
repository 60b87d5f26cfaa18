import { defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { createCommands } from "./commands.ts";
import { createCoupons } from "./commands-coupon.ts";
import { createEventCommands } from "./commands-events.ts";
import { createPlacing } from "./commands-place.ts";
import { createQuotes } from "./commands-quote.ts";
import { createReplacements } from "./commands-replacement.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { createLists } from "./store-lists.ts";

export const orders = defineService({
  name: "orders",
  root: new URL("../", import.meta.url),
  config: Type.Object({
    PAYMENT_DEADLINE_SECONDS: Type.Integer({
      default: 900,
      minimum: 1,
      description: "how long stock is held for a payment, in seconds",
    }),
    EXPIRY_INTERVAL_MS: Type.Integer({
      default: 1_000,
      minimum: 50,
      description: "how often overdue orders are looked for, in ms",
    }),
    ORDER_LINK_SECRET: Type.String({
      minLength: 16,
      description: "the secret that signs guests' links to their orders; the same in users and customers",
    }),
    ORDER_LINK_DAYS: Type.Integer({
      default: 90,
      minimum: 1,
      description: "how long a guest's link to an order lasts, in days",
    }),
  }),
  wire({ config, db, log, newId }) {
    const lists = createLists(db);
    const quotes = createQuotes(db);
    const commands = createCommands({ db, newId, lists });
    const placing = createPlacing({ db, newId, quotes, lists, config });
    const events = createEventCommands({ newId, replacements: createReplacements({ config }) });
    return {
      resolvers: createResolvers({ commands, placing, coupons: createCoupons(db), quotes, lists }),
      handlers: createConsumers(events),
      workers: [
        pollingWorker({ name: "expiry", intervalMs: config.EXPIRY_INTERVAL_MS, log, round: commands.expireOverdue }),
      ],
    };
  },
});
