import { backgroundPaceMs, defineService } from "@crowdcrunch/kit/service";
import Type from "typebox";
import { createCommands } from "./commands.ts";
import { createEventCommands } from "./commands-events.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { createLists } from "./store-lists.ts";

export const exchanges = defineService({
  name: "exchanges",
  paceMs: backgroundPaceMs,
  root: new URL("../", import.meta.url),
  config: Type.Object({
    RETURN_DAYS: Type.Integer({
      default: 30,
      minimum: 1,
      maximum: 3_650,
      description: "how long after delivery shoppers may return goods, in days",
    }),
    RETURN_AUTO_APPROVE: Type.Boolean({
      default: false,
      description: "whether returns are approved as soon as they are requested",
    }),
  }),
  wire({ config, db, newId }) {
    return {
      resolvers: createResolvers({
        commands: createCommands({ db, newId, config }),
        lists: createLists(db, { days: config.RETURN_DAYS }),
      }),
      handlers: createConsumers(createEventCommands({ newId })),
    };
  },
});
