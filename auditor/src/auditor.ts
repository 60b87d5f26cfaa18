import { readConfig } from "@crowdcrunch/kit/config";
import { httpSettings } from "@crowdcrunch/kit/http";
import type { Logger } from "@crowdcrunch/kit/logger";
import { startProcess } from "@crowdcrunch/kit/process";
import type { RunningProcess, StartingProcess } from "@crowdcrunch/kit/process";
import { eventLogVariables, processVariables } from "@crowdcrunch/kit/variables";
import { fastify } from "fastify";
import Type from "typebox";
import { openBooks } from "./books.ts";
import { createFindings } from "./findings.ts";
import { logAuditVariables, openLog } from "./log.ts";
import { watch } from "./watch.ts";

export const auditorVariables = {
  ...processVariables,
  ...eventLogVariables,
  DATABASE_URL: Type.String({
    pattern: "^postgres(ql)?://",
    description: "the database, as the role auditor, which reads every schema and writes none",
    examples: ["postgres://auditor:secret@127.0.0.1:4050/crowdcrunch"],
  }),
  ...logAuditVariables,
  AUDIT_INTERVAL_SECONDS: Type.Number({
    default: 60,
    minimum: 0.1,
    description: "least time between two checks of one invariant, in seconds",
  }),
  AUDIT_WINDOW_SECONDS: Type.Number({
    default: 60,
    minimum: 0,
    description: "how long a published event may be on its way to its consumer, in seconds",
  }),
  AUDIT_BUSY_PERCENT: Type.Number({
    default: 4,
    minimum: 0.1,
    maximum: 100,
    description: "how much of the time checks may take; after each the auditor rests accordingly",
  }),
  AUDIT_STATEMENT_TIMEOUT_MS: Type.Integer({
    default: 15_000,
    minimum: 100,
    description: "how long one statement may take, in ms; a check that needs longer is one that could not be made",
  }),
};

export interface RunningAuditor extends RunningProcess {
  /** Where the last findings are told, e.g. http://127.0.0.1:4011. */
  url: string;
}

/** Starts the auditor. It needs its port; the database, its schemas and the event log may come later. */
export async function startAuditor(options: {
  env: Record<string, string | undefined>;
  log?: Logger;
  processMetrics?: boolean;
}): Promise<RunningAuditor> {
  const name = "auditor";
  const config = readConfig(Type.Object(auditorVariables), options.env);
  const { processMetrics } = options;
  return startProcess({ name, config, waitingFor: "port", log: options.log, processMetrics }, startParts);

  async function startParts({ log, metrics, onStop, listen }: StartingProcess): Promise<{ url: string }> {
    const books = openBooks({
      url: config.DATABASE_URL,
      applicationName: name,
      snapshot: false,
      statementTimeoutMs: config.AUDIT_STATEMENT_TIMEOUT_MS,
      workMemoryMb: 32,
      onError: (error) => log.debug({ error: error.message }, "a database connection was lost"),
    });
    onStop(() => books.close());
    const eventLog = await openLog({ url: config.DATABASE_URL, env: options.env, log });
    onStop(() => eventLog.close());
    const findings = createFindings({ log, metrics });
    const watching = watch({
      books,
      eventLog,
      findings,
      log,
      intervalMs: config.AUDIT_INTERVAL_SECONDS * 1_000,
      busyShare: config.AUDIT_BUSY_PERCENT / 100,
      windowSeconds: config.AUDIT_WINDOW_SECONDS,
      logBeganAnew: config.LOG_BEGAN_ANEW,
    });
    onStop(() => watching.stop());
    const app = fastify(httpSettings);
    app.get("/", async (_request, reply) =>
      reply.type("text/plain; charset=utf-8").send(`${findings.lines().join("\n")}\n`),
    );
    return { url: await listen(app) };
  }
}
