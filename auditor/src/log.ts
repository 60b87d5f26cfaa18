import { readConfig } from "@crowdcrunch/kit/config";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { postgresEventLog } from "@crowdcrunch/kit/eventlog-postgres";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import type { Logger } from "@crowdcrunch/kit/logger";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { Pool } from "pg";
import Type from "typebox";
import { continuedLog } from "./continued-log.ts";
import type { Ends } from "./continued-log.ts";

/** What an audit must know of the log beside where it is. */
export const logAuditVariables = {
  LOG_BEGAN_ANEW: Type.Boolean({
    default: false,
    description:
      "true where the event log has been lost or replaced, as when a backup is restored: of the events of before nothing is asked",
  }),
};

/** Less than topics of Kafka keep their events for. */
const keptDays = 6;

/**
 * Opens the log that the variables name, to be read alone. Of a shop that has gone over to Kafka it is both logs, one
 * after the other.
 */
export async function openLog(options: {
  /** The database as the auditor, for the log in it. */
  url: string;
  env: Record<string, string | undefined>;
  log: Logger;
}): Promise<EventLog> {
  const { url, env, log } = options;
  const pool = new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 1_000 });
  pool.on("error", (error) => log.debug({ error: error.message }, "a database connection was lost"));
  const config = readConfig(Type.Object(eventLogVariables), env);
  const eventLog = await openEventLog({ config, service: "auditor", log, pool, databaseUrl: url });
  // What is published on Kafka continues what was on the embedded log.
  const opened =
    config.KAFKA_BROKERS === undefined
      ? eventLog
      : continuedLog({
          kafka: eventLog,
          embedded: postgresEventLog({ pool, url, service: "auditor", log }),
          left: () => leftOf(pool),
        });
  return {
    ...opened,
    async close() {
      await opened.close();
      await pool.end();
    },
  };
}

/** Where the embedded log ended, once it is closed. */
async function leftOf(pool: Pool): Promise<{ ends: Ends; keeps: boolean }> {
  const { rows } = await pool.query<{ topic: string; partition: number; next: string; keeps: boolean }>(
    `SELECT h.topic, h.partition, h.next, c.closed_at > now() - make_interval(days => $1) AS keeps
     FROM eventlog.heads h CROSS JOIN eventlog.closed c WHERE h.next > 0`,
    [keptDays],
  );
  const ends = new Map<string, Map<number, number>>();
  for (const { topic, partition, next } of rows)
    ends.set(topic, (ends.get(topic) ?? new Map<number, number>()).set(partition, Number(next)));
  return { ends, keeps: rows[0]?.keeps ?? false };
}
