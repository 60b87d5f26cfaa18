import { readConfig } from "@crowdcrunch/kit/config";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import type { Logger } from "@crowdcrunch/kit/logger";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { Pool } from "pg";
import Type from "typebox";

/** Opens the log that the variables name, to be read alone. */
export async function openLog(options: {
  /** The database as the auditor, for the log in it. */
  url: string;
  env: Record<string, string | undefined>;
  log: Logger;
}): Promise<EventLog> {
  const { url, env, log } = options;
  // For publishers: one that only reads takes the log's own connection, and none of these is ever made.
  const pool = new Pool({ connectionString: url, max: 1 });
  const config = readConfig(Type.Object(eventLogVariables), env);
  return openEventLog({ config, service: "auditor", log, pool, databaseUrl: url });
}
