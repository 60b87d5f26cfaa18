/** Anything that asks the database: a pool or a client. */
interface Asked {
  query(sql: string): Promise<{ rows: { group_name: string; topic: string; behind: unknown }[] }>;
}

/**
 * Closes the embedded event log, for a shop that runs on another one from now on: nothing is appended to it any more,
 * and services refuse to start on it. Where it is closed already, or never had an event, that is all. Throws where a
 * group has events left to handle, which it would never see again; the message names each with its topics.
 */
export async function closeEmbeddedLog(database: Asked): Promise<void> {
  const { rows } = await database.query("SELECT * FROM eventlog.close()");
  if (rows.length === 0) return;
  const left = Map.groupBy(rows, (row) => row.group_name);
  const named = [...left].map(
    ([group, topics]) => `${group} (${topics.map(({ topic, behind }) => `${String(behind)} of ${topic}`).join(", ")})`,
  );
  throw new Error(
    `the shop cannot go over to Kafka yet: on the embedded event log these groups have events left to handle: ${named.join("; ")}. ` +
      "Let them catch up there (make drain, or run the services without KAFKA_BROKERS for a while)",
  );
}
