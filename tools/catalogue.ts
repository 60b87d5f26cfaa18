import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { Problem } from "./environment.ts";

/** Services that keep a copy of the catalogue: orders prices by it, frontend shows its pages. */
const keepers = ["orders", "frontend"];
const patienceMs = 60_000;

/** True once inventory has products, all of them are published and no keeper is behind on inventory's topic. */
const catalogueIsKnown = `
  SELECT EXISTS (SELECT FROM inventory.products)
     AND NOT EXISTS (SELECT FROM inventory.outbox)
     AND NOT EXISTS (
       SELECT FROM eventlog.heads h CROSS JOIN unnest($1::text[]) AS keeper
       LEFT JOIN eventlog.positions p
         ON p.topic = h.topic AND p.partition = h.partition AND p.group_name = keeper
       WHERE h.topic = 'inventory' AND h.next > coalesce(p.committed, 0)
     ) AS known`;

/**
 * Resolves once the starter catalogue, which inventory loads by itself, can be bought from. `running` names the shop's
 * processes. Throws a Problem after a minute.
 */
export async function untilCatalogueIsKnown(auditorUrl: string, running: string[]): Promise<void> {
  const client = new Client({ connectionString: auditorUrl, application_name: "catalogue" });
  await client.connect();
  try {
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const parameters = [keepers.filter((keeper) => running.includes(keeper))];
      const { rows } = await client.query<{ known: boolean }>(catalogueIsKnown, parameters);
      if (rows[0]?.known) return;
      if (performance.now() > giveUpAt)
        throw new Problem(
          "The shop runs, but its starter catalogue does not arrive: see make status and make logs SERVICE=inventory.",
        );
      await sleep(50);
    }
  } finally {
    await client.end();
  }
}
