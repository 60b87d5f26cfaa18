import cookie from "@fastify/cookie";
import { defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { createTokenSigner } from "./adapters/access-tokens.ts";
import { createPasswords } from "./adapters/passwords.ts";
import { createCommands } from "./commands.ts";
import { createLimits } from "./commands-limits.ts";
import { createLinks } from "./commands-links.ts";
import { createRoles } from "./commands-roles.ts";
import { createSessions } from "./commands-sessions.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { removeExpired } from "./store.ts";
import { attemptWindowSeconds } from "./store-attempts.ts";
import { createLists } from "./store-lists.ts";

export const users = defineService({
  name: "users",
  root: new URL("../", import.meta.url),
  config: Type.Object({
    SIGNING_KEY_FILE: Type.String({
      description: "the file with the private key that signs access tokens, a JWK",
      examples: ["var/secrets/signing-key.json"],
    }),
    GUEST_COOKIE_SECRET: Type.String({ minLength: 16, description: "the secret that signs guests' refresh cookies" }),
    ORDER_LINK_SECRET: Type.String({
      minLength: 16,
      description: "the secret that signs guests' links to their orders; the same in orders and customers",
    }),
    COOKIE_SECURE: Type.Boolean({
      default: true,
      description: "false lets the refresh cookie travel over plain HTTP: true or false",
    }),
    ATTEMPTS_PER_ACCOUNT: Type.Integer({
      default: 10,
      minimum: 1,
      description: "failed sign-ins, and mails asked for, in 15 minutes for one e-mail address",
    }),
    ATTEMPTS_PER_ADDRESS: Type.Integer({
      default: 100,
      minimum: 1,
      description: "sign-ups, sign-ins, and mails asked for, in 15 minutes by one client's address, of each",
    }),
    PASSWORD_QUEUE: Type.Integer({
      default: 32,
      minimum: 1,
      description: "how many passwords may wait to be hashed, one at a time, before callers are told to come back",
    }),
  }),
  wire({ config, db, log, metrics, newId }) {
    const signer = createTokenSigner({ keyFile: config.SIGNING_KEY_FILE, log });
    const passwords = createPasswords({ mostWaiting: config.PASSWORD_QUEUE, metrics });
    const limits = createLimits({ db, config });
    const sessions = createSessions({ db, newId, signer, config });
    const links = createLinks({ db, newId, passwords, limits, onResetRequested: () => resets.nudge() });
    const resets = pollingWorker({ name: "resets", intervalMs: 10_000, log, round: () => links.sendPasswordResets() });
    const expiry = pollingWorker({
      name: "expiry",
      intervalMs: 3_600_000,
      log,
      round: () => removeExpired(db, attemptWindowSeconds),
    });
    const commands = createCommands({ db, newId, passwords, limits, sessions, links });
    const lists = createLists(db);
    return {
      resolvers: createResolvers({ commands, sessions, links, roles: createRoles({ db }), lists, config }),
      handlers: createConsumers(commands),
      workers: [resets, expiry],
      async routes(app) {
        await app.register(cookie);
      },
    };
  },
});
