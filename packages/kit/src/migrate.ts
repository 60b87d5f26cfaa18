import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { Client } from "pg";
import { connectionSettings } from "./database.ts";
import type { Logger } from "./logger.ts";

const kitMigrations = new URL("../migrations/", import.meta.url);

interface Migration {
  /** "kit/001_messaging.sql" or "001_orders.sql". */
  name: string;
  text: string;
}

async function readMigrations(folder: URL, prefix: string): Promise<Migration[]> {
  const files = (await readdir(folder)).filter((file) => /^\d{3}_.+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({ name: prefix + file, text: await readFile(new URL(file, folder), "utf8") })),
  );
}

/**
 * Brings the service's schema up to date: the kit's tables first, then the service's own numbered files, each in a
 * transaction of its own, under an advisory lock so that replicas may start together. `:"role"` in a file is the running
 * role. Throws when a file that was applied has been changed since.
 */
export async function migrate(options: {
  service: string;
  ownerUrl: string;
  folder: URL;
  log: Logger;
  messaging?: boolean;
}): Promise<void> {
  const migrations = [
    ...(options.messaging === false ? [] : await readMigrations(kitMigrations, "kit/")),
    ...(await readMigrations(options.folder, "")),
  ];
  const client = new Client(
    connectionSettings({ url: options.ownerUrl, applicationName: `${options.service}-migrate` }),
  );
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock(hashtext($1))", [`migrate:${options.service}`]);
    await client.query(
      "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
    );
    const applied = new Map<string, string>();
    for (const row of (await client.query("SELECT name, digest FROM migrations")).rows)
      applied.set(row.name, row.digest);
    for (const migration of migrations) {
      const digest = createHash("sha256").update(migration.text).digest("hex");
      const known = applied.get(migration.name);
      if (known === digest) continue;
      if (known !== undefined) {
        throw new Error(
          `${options.service}: ${migration.name} was changed after it had been applied; add a new migration instead`,
        );
      }
      await client.query("BEGIN");
      try {
        await client.query(migration.text.replaceAll(':"role"', client.escapeIdentifier(options.service)));
        await client.query("INSERT INTO migrations (name, digest) VALUES ($1, $2)", [migration.name, digest]);
        await client.query("COMMIT");
      } catch (error) {
        await client.query("ROLLBACK");
        throw new Error(`${options.service}: ${migration.name} failed: ${(error as Error).message}`, { cause: error });
      }
      options.log.info({ migration: migration.name }, "migrated");
    }
  } finally {
    await client.end();
  }
}
