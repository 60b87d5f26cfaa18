import { createPresence } from "@crowdcrunch/kit/presence";
import { defineService } from "@crowdcrunch/kit/service";
import Type from "typebox";
import { simulatedProvider } from "./adapters/simulated-provider.ts";
import { createCommands } from "./commands.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { callbackRoutes } from "./routes.ts";
import { presenceLockSpace } from "./store.ts";
import { operationsWorker } from "./workers.ts";

export const payments = defineService({
  name: "payments",
  root: new URL("../", import.meta.url),
  config: Type.Object({
    PROVIDER_URL: Type.String({
      default: "http://127.0.0.1:4010",
      pattern: "^https?://",
      description: "the payment provider's API",
    }),
    PROVIDER_API_KEY: Type.String({ minLength: 8, description: "the key that the provider's API is called with" }),
    PROVIDER_WEBHOOK_SECRET: Type.String({ minLength: 8, description: "what the provider signs its callbacks with" }),
    PROVIDER_TIMEOUT_MS: Type.Integer({
      default: 5_000,
      minimum: 1,
      maximum: 8_000,
      description: "how long the provider may take to answer, in ms; shorter than the lease of an operation",
    }),
    PROVIDER_CONCURRENCY: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 200,
      description: "most operations at the provider at a time",
    }),
    PUBLIC_URL: Type.String({
      default: "http://127.0.0.1:4000",
      pattern: "^https?://",
      description: "where shoppers reach the shop; they come back there from their bank",
    }),
  }),
  wire({ config, db, log, metrics, newId, faults }) {
    const provider = simulatedProvider({
      url: config.PROVIDER_URL,
      apiKey: config.PROVIDER_API_KEY,
      webhookSecret: config.PROVIDER_WEBHOOK_SECRET,
      timeoutMs: config.PROVIDER_TIMEOUT_MS,
      connections: config.PROVIDER_CONCURRENCY,
      faults,
    });
    const presence = createPresence({ db, service: "payments", lockSpace: presenceLockSpace, log });
    const commands = createCommands({ db, newId, log, presence });
    const returnUrl = `${config.PUBLIC_URL}/orders/`;
    return {
      resolvers: createResolvers({ db, commands }),
      handlers: createConsumers(commands),
      workers: [
        presence,
        operationsWorker({ commands, provider, concurrency: config.PROVIDER_CONCURRENCY, returnUrl, log, metrics }),
      ],
      routes: (app) => callbackRoutes(app, { commands, provider, log }),
    };
  },
});
