/** What a shop has left on its embedded event log. */
import type { Client } from "pg";

/** Groups that have not handled all of the embedded log. */
export async function groupsBehind(client: Client): Promise<{ group: string; topic: string; events: number }[]> {
  const { rows } = await client.query<{ group: string; topic: string; events: number }>(
    `SELECT p.group_name AS group, p.topic, sum(h.next - p.committed)::int AS events
     FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
     WHERE h.next > p.committed GROUP BY p.group_name, p.topic ORDER BY p.group_name, p.topic`,
  );
  return rows;
}
