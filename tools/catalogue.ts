import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { Problem } from "./environment.ts";

const patienceMs = 60_000;

/** Keepers of a copy of the catalogue, each with what it does not have yet of inventory's. */
const missingFrom: Record<string, string> = {
  // Prices orders by it.
  orders: `SELECT FROM inventory.products p LEFT JOIN orders.catalogue_products c ON c.product_id = p.id AND c.version >= p.version
           WHERE c.product_id IS NULL`,
  // Shows its pages, and what is there to be sold.
  frontend: `SELECT FROM inventory.products p LEFT JOIN frontend.products c ON c.product_id = p.id AND c.version >= p.version
             WHERE c.product_id IS NULL
             UNION ALL
             SELECT FROM inventory.skus s LEFT JOIN frontend.availabilities a ON a.sku_id = s.id AND a.version >= s.availability_version
             WHERE s.availability_version > 0 AND a.sku_id IS NULL`,
};

/** True once inventory has products and these keepers have all of them. */
function catalogueIsKnown(keepers: string[]): string {
  const missing = keepers.map((keeper) => ` AND NOT EXISTS (${missingFrom[keeper]!})`).join("");
  return `SELECT EXISTS (SELECT FROM inventory.products)${missing} AS known`;
}

/**
 * Resolves once the starter catalogue, which inventory loads by itself, can be bought from. `running` names the shop's
 * processes. Throws a Problem after a minute.
 */
export async function untilCatalogueIsKnown(auditorUrl: string, running: string[]): Promise<void> {
  const client = new Client({ connectionString: auditorUrl, application_name: "catalogue" });
  await client.connect();
  try {
    const giveUpAt = performance.now() + patienceMs;
    const sql = catalogueIsKnown(Object.keys(missingFrom).filter((keeper) => running.includes(keeper)));
    for (;;) {
      const { rows } = await client.query<{ known: boolean }>(sql);
      if (rows[0]?.known) return;
      if (performance.now() > giveUpAt)
        throw new Problem(
          "The shop runs, but its starter catalogue does not arrive: see make status and make logs SERVICE=inventory.",
        );
      await sleep(100);
    }
  } finally {
    await client.end();
  }
}
