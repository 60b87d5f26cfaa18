import { readConfig } from "@crowdcrunch/kit/config";
import { openDatabase, untilAvailable } from "@crowdcrunch/kit/database";
import { httpSettings } from "@crowdcrunch/kit/http";
import type { Logger } from "@crowdcrunch/kit/logger";
import { migrate } from "@crowdcrunch/kit/migrate";
import { startProcess } from "@crowdcrunch/kit/process";
import type { RunningProcess, StartingProcess } from "@crowdcrunch/kit/process";
import { processVariables } from "@crowdcrunch/kit/variables";
import { fastify } from "fastify";
import Type from "typebox";
import { actionRoutes } from "./action-page.ts";
import { apiRoutes } from "./api.ts";
import { Refusal, createBook, newName } from "./book.ts";
import { callbackWorker } from "./callbacks.ts";

export const providerVariables = {
  ...processVariables,
  DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database, as the provider's running role",
    examples: ["postgres://provider:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  OWNER_DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database, as the role that owns the schema and migrates it",
    examples: ["postgres://provider_owner:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  PROVIDER_API_KEY: Type.String({ minLength: 8, description: "the key that the shop calls with" }),
  PROVIDER_WEBHOOK_SECRET: Type.String({ minLength: 8, description: "what callbacks are signed with" }),
  PROVIDER_WEBHOOK_URL: Type.String({
    default: "http://127.0.0.1:4005/hooks/payments",
    pattern: "^https?://",
    description: "where callbacks go",
  }),
  PROVIDER_PUBLIC_URL: Type.Optional(
    Type.String({
      pattern: "^https?://",
      description: "where shoppers reach the pages of their bank",
      examples: ["http://127.0.0.1:4010"],
    }),
  ),
  PROVIDER_LATENCY_MS: Type.Integer({
    default: 10,
    minimum: 0,
    maximum: 60_000,
    description: "how long an answer takes, in ms",
  }),
  PROVIDER_CALLBACKS: Type.Union([Type.Literal("unanswered"), Type.Literal("all")], {
    default: "unanswered",
    description:
      "which operations are called back: those that the reply could not tell the end of (unanswered), or all",
  }),
};

export interface RunningProvider extends RunningProcess {
  url: string;
}

/** Starts the simulated payment provider with a schema, a role and a book of its own. */
export async function startProvider(options: {
  env: Record<string, string | undefined>;
  log?: Logger;
  processMetrics?: boolean;
}): Promise<RunningProvider> {
  const name = "provider";
  const config = readConfig(Type.Object(providerVariables), options.env);
  const { processMetrics } = options;
  return startProcess({ name, config, waitingFor: "database", log: options.log, processMetrics }, startParts);

  async function startParts({
    log,
    metrics,
    faults,
    signal,
    onStop,
    listen,
  }: StartingProcess): Promise<{ url: string }> {
    const db = openDatabase({
      url: withoutWaitingForDisk(config.DATABASE_URL),
      applicationName: name,
      newId: () => newName("id"),
      log,
      metrics,
      faults,
    });
    onStop(() => db.close());
    await untilAvailable(
      () =>
        migrate({
          service: name,
          ownerUrl: config.OWNER_DATABASE_URL,
          folder: new URL("../migrations/", import.meta.url),
          log,
          messaging: false,
        }),
      {
        log,
        waiting: "the migration waits for the database",
        signal,
      },
    );

    const app = fastify({ ...httpSettings, bodyLimit: 64 * 1024 });
    app.setErrorHandler((error: Error & { statusCode?: number; validation?: unknown }, _request, reply) => {
      if (error instanceof Refusal)
        return reply.code(error.statusCode).send({ error: { code: error.code, message: error.message } });
      if (error.statusCode !== undefined && error.statusCode < 500)
        return reply.code(error.statusCode).send({ error: { code: "INVALID_REQUEST", message: error.message } });
      log.error({ error: error.message }, "a request failed");
      return reply.code(500).send({ error: { code: "INTERNAL", message: "Something went wrong." } });
    });
    const publicUrl = () => config.PROVIDER_PUBLIC_URL ?? app.listeningOrigin;
    const callbacks = callbackWorker({
      db,
      url: config.PROVIDER_WEBHOOK_URL,
      secret: config.PROVIDER_WEBHOOK_SECRET,
      publicUrl,
      log,
    });
    const book = createBook({
      db,
      callBackAll: config.PROVIDER_CALLBACKS === "all",
      latencyMs: config.PROVIDER_LATENCY_MS,
      onCallback: callbacks.nudge,
    });
    apiRoutes(app, {
      ...{ db, book, publicUrl, faults },
      apiKey: config.PROVIDER_API_KEY,
      latencyMs: config.PROVIDER_LATENCY_MS,
      sendCallback: callbacks.send,
    });
    actionRoutes(app, book);
    const url = await listen(app);
    callbacks.start();
    onStop(() => callbacks.stop());
    return { url };
  }
}

/**
 * The book's commits do not wait for the disk: the log of a later commit that does, such as that of whoever got the
 * answer, makes them durable on the same server. Killing the process loses nothing.
 */
function withoutWaitingForDisk(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set("options", "-c synchronous_commit=off");
  return url.href;
}
