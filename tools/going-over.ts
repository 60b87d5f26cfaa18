/** How a shop's events get from the embedded log to Kafka: only when nothing is left behind. */
import { closeEmbeddedLog } from "@crowdcrunch/kit/eventlog-postgres/closing";
import { Client } from "pg";
import { Problem } from "./environment.ts";
import type { KafkaChoice } from "./kafka/shop-kafka.ts";
import { services } from "./processes.ts";

/**
 * Sees to it that a shop starts on the log that has its events. For Kafka: the embedded log is closed, once every group
 * has handled all of it and every outbox is empty. For the embedded log: it must not have been closed. Throws a Problem
 * that names what is left and the way out. The URL is that of the superuser, of the shop's database.
 */
export async function checkEventLog(url: string, kafka: KafkaChoice): Promise<void> {
  const client = new Client({ connectionString: url, application_name: "bootstrap" });
  await client.connect();
  try {
    const { rows } = await client.query<{ closed_at: Date }>("SELECT closed_at FROM eventlog.closed");
    const [closed] = rows;
    if (kafka === false) {
      if (!closed) return;
      throw new Problem(
        `This shop went over to Kafka at ${closed.closed_at.toISOString()}: start it with make up KAFKA=1, or with KAFKA_BROKERS=…`,
      );
    }
    if (closed) return;
    const outboxes = await fullOutboxes(client);
    if (outboxes.length > 0) {
      throw new Problem(
        `The shop cannot go over to Kafka yet: events wait in the outbox of ${outboxes.map(({ service, events }) => `${service} (${events})`).join(", ")}. make drain waits for them.`,
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
export async function fullOutboxes(client: Client): Promise<{ service: string; events: number }[]> {
  const names = services.map(({ name }) => name);
  const known = await client.query<{ service: string }>(
    "SELECT service FROM unnest($1::text[]) AS service WHERE to_regclass(service || '.outbox') IS NOT NULL",
    [names],
  );
  if (known.rows.length === 0) return [];
  const { rows } = await client.query<{ service: string; events: number }>(
    known.rows
      .map(({ service }) => `SELECT '${service}' AS service, count(*)::int AS events FROM ${service}.outbox`)
      .join(" UNION ALL "),
  );
  return rows.filter(({ events }) => events > 0);
}

/** Groups that have not handled all of the embedded log. */
export async function groupsBehind(client: Client): Promise<{ group: string; topic: string; events: number }[]> {
  const { rows } = await client.query<{ group: string; topic: string; events: number }>(
    `SELECT p.group_name AS group, p.topic, sum(h.next - p.committed)::int AS events
     FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
     WHERE h.next > p.committed GROUP BY p.group_name, p.topic ORDER BY p.group_name, p.topic`,
  );
  return rows;
}
