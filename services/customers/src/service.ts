import { createMailer, mailVariables } from "@crowdcrunch/kit/mail";
import { backgroundPaceMs, defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { createCommands } from "./commands.ts";
import { createEventCommands } from "./commands-events.ts";
import { createMailing } from "./commands-mail.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { createReads } from "./store.ts";

export const customers = defineService({
  name: "customers",
  paceMs: backgroundPaceMs,
  root: new URL("../", import.meta.url),
  config: Type.Object({
    ...mailVariables,
    MAIL_INTERVAL_MS: Type.Integer({
      default: 5_000,
      minimum: 50,
      description: "how often mails are looked for that could not be sent at once, in ms",
    }),
    ORDER_LINK_SECRET: Type.String({
      minLength: 16,
      description: "the secret that signs guests' links to their orders; the same in users and orders",
    }),
    ORDER_LINK_DAYS: Type.Integer({
      default: 90,
      minimum: 1,
      description: "how long a link to an order lasts, in days",
    }),
  }),
  wire({ config, db, log, newId }) {
    const reads = createReads(db);
    const mailing = createMailing({ db, newId, mailer: createMailer(config), log });
    const sender = pollingWorker({ name: "mails", intervalMs: config.MAIL_INTERVAL_MS, log, round: mailing.sendDue });
    return {
      resolvers: createResolvers({ db, commands: createCommands({ db, newId, reads }), reads }),
      handlers: createConsumers(createEventCommands({ config, onQueued: sender.nudge })),
      workers: [sender],
    };
  },
});
