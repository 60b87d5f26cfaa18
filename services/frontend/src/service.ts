import { backgroundPaceMs, defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { createCommands } from "./commands.ts";
import { createEventCommands } from "./commands-events.ts";
import { createUpkeep } from "./commands-upkeep.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { serveStartPage } from "./routes.ts";
import { createCartReads } from "./store.ts";
import { createRecommendationReads } from "./store-people.ts";

export const frontend = defineService({
  name: "frontend",
  paceMs: backgroundPaceMs,
  root: new URL("../", import.meta.url),
  config: Type.Object({
    CART_ABANDONED_HOURS: Type.Number({
      default: 24,
      minimum: 0,
      description: "after how many idle hours the owner is reminded of a cart",
    }),
    CART_KEEP_DAYS: Type.Integer({
      default: 90,
      minimum: 3,
      description: "after how many idle days a cart is removed",
    }),
    CART_UPKEEP_INTERVAL_MS: Type.Integer({
      default: 300_000,
      minimum: 50,
      description: "how often idle carts are looked for, in ms",
    }),
  }),
  wire({ config, db, log, newId }) {
    const carts = createCartReads(db);
    const commands = createCommands({ db, newId, reads: carts });
    const upkeep = createUpkeep({ db, config });
    const intervalMs = config.CART_UPKEEP_INTERVAL_MS;
    return {
      resolvers: createResolvers({ db, newId, commands, carts, recommendations: createRecommendationReads(db) }),
      handlers: createConsumers(createEventCommands({ newId })),
      workers: [
        pollingWorker({ name: "reminders", intervalMs, log, round: upkeep.remind }),
        // Tidying looks at every cart and pair; nothing waits for it.
        pollingWorker({ name: "tidy", intervalMs: 12 * intervalMs, log, round: upkeep.tidy }),
      ],
      routes: serveStartPage,
    };
  },
});
