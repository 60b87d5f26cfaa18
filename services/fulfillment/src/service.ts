import { createMailer, mailVariables } from "@crowdcrunch/kit/mail";
import { backgroundPaceMs, defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { createDownloadLinks } from "./adapters/download-links.ts";
import { createCommands } from "./commands.ts";
import { createEventCommands } from "./commands-events.ts";
import { createMailCommands } from "./commands-mail.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { downloadRoutes } from "./routes.ts";
import { createLists } from "./store-lists.ts";

export const fulfillment = defineService({
  name: "fulfillment",
  paceMs: backgroundPaceMs,
  root: new URL("../", import.meta.url),
  config: Type.Object({
    ...mailVariables,
    DOWNLOAD_SECRET: Type.String({ minLength: 16, description: "the secret that signs download links" }),
    DOWNLOAD_DAYS: Type.Integer({
      default: 7,
      minimum: 1,
      maximum: 3_650,
      description: "how long a download link lasts, in days",
    }),
    DOWNLOADS_PER_LINK: Type.Integer({ default: 10, minimum: 1, description: "how often a download link may be used" }),
    DELIVERY_ATTEMPTS: Type.Integer({
      default: 8,
      minimum: 1,
      description: "how often a download mail is tried before it counts as failed",
    }),
    DELIVERY_RETRY_MS: Type.Integer({
      default: 5_000,
      minimum: 10,
      description: "the wait after the first failed attempt, in ms; doubled after each further one",
    }),
    DELIVERY_LEASE_SECONDS: Type.Integer({
      default: 120,
      minimum: 1,
      description:
        "after how long the download mails of a worker that crashed are sent by another, in seconds; longer than a mail server takes",
    }),
    CARRIER_SIMULATOR: Type.Boolean({
      default: false,
      description: "whether a simulated carrier dispatches and delivers parcels by itself",
    }),
    CARRIER_DELAY_MS: Type.Integer({
      default: 1_500,
      minimum: 0,
      description: "how long the simulated carrier takes to fetch a parcel, and again to deliver it, in ms",
    }),
  }),
  wire({ config, db, log, newId }) {
    const lists = createLists(db);
    const commands = createCommands({ db, newId, lists });
    const mail = createMailCommands({
      db,
      newId,
      log,
      mailer: createMailer(config),
      links: createDownloadLinks(config),
      config,
    });
    const mailing = pollingWorker({
      name: "mailing",
      intervalMs: Math.min(5_000, config.DELIVERY_RETRY_MS),
      log,
      round: mail.sendDue,
    });
    const carrier = pollingWorker({
      name: "carrier",
      intervalMs: Math.max(50, Math.min(500, config.CARRIER_DELAY_MS)),
      log,
      round: () => commands.simulateCarrier(config.CARRIER_DELAY_MS),
    });
    return {
      resolvers: createResolvers({ commands, lists }),
      handlers: createConsumers(createEventCommands({ newId, config, onDeliveries: mailing.nudge })),
      workers: config.CARRIER_SIMULATOR ? [mailing, carrier] : [mailing],
      routes: (app) => downloadRoutes(app, mail),
    };
  },
});
