/** How a shop's events get from the embedded log to Kafka: only when nothing is left behind. */
import { Client } from "pg";
import { Problem } from "../program.ts";
import { closeEmbeddedLog } from "./closing.ts";

export interface GoingOver {
  /** A role that may read the services' outboxes and the event log, in the shop's database. */
  url: string;
  /** True where the shop's events are to be on Kafka. */
  kafka: boolean;
  services: readonly string[];
  /** Sentences: how a shop that went over is started on Kafka, and how outboxes become empty. */
  waysOut: { kafka: string; outboxes: string };
}

/**
 * Sees to it that a shop starts on the log that has its events. For Kafka: the embedded log is closed, once every group
 * has handled all of it and every outbox is empty. For the embedded log: it must not have been closed. Throws a Problem
 * that names what is left and the way out.
 */
export async function checkEventLog({ url, kafka, services, waysOut }: GoingOver): Promise<void> {
  const client = new Client({ connectionString: url, application_name: "bootstrap" });
  await client.connect();
  try {
    const { rows } = await client.query<{ closed_at: Date }>("SELECT closed_at FROM eventlog.closed");
    const [closed] = rows;
    if (!kafka) {
      if (!closed) return;
      throw new Problem(`This shop went over to Kafka at ${closed.closed_at.toISOString()}. ${waysOut.kafka}`);
    }
    if (closed) return;
    const outboxes = await fullOutboxes(client, services);
    if (outboxes.length > 0) {
      throw new Problem(
        `The shop cannot go over to Kafka yet: events wait in the outbox of ${outboxes.map(({ service, events }) => `${service} (${events})`).join(", ")}. ${waysOut.outboxes}`,
      );
    }
    await closeEmbeddedLog(client).catch((error: Error) => {
      throw new Problem(`${error.message[0]!.toUpperCase()}${error.message.slice(1)}.`);
    });
  } finally {
    await client.end();
  }
}

/** Outboxes that are not empty, of the services that have been started once. */
export async function fullOutboxes(
  client: Client,
  services: readonly string[],
): Promise<{ service: string; events: number }[]> {
  const known = await client.query<{ service: string }>(
    "SELECT service FROM unnest($1::text[]) AS service WHERE to_regclass(service || '.outbox') IS NOT NULL",
    [services],
  );
  if (known.rows.length === 0) return [];
  const { rows } = await client.query<{ service: string; events: number }>(
    known.rows
      .map(({ service }) => `SELECT '${service}' AS service, count(*)::int AS events FROM ${service}.outbox`)
      .join(" UNION ALL "),
  );
  return rows.filter(({ events }) => events > 0);
}
