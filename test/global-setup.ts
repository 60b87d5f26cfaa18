import { readdir } from "node:fs/promises";
import { bootstrap } from "@crowdcrunch/kit/bootstrap";
import { startPostgres } from "@crowdcrunch/kit/testing/embedded-postgres";
import { templateDatabase, testPassword } from "@crowdcrunch/kit/testing/postgres";
import type { TestProject } from "vitest/node";

/** Starts the one Postgres of a test run, with a bootstrapped template that test files copy. TEST_FSYNC=off trades truth for speed. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres({ fsync: process.env["TEST_FSYNC"] !== "off" });
  try {
    const folders = await readdir(new URL("../services/", import.meta.url), { withFileTypes: true });
    const credentials = (name: string) => ({
      name,
      password: testPassword(name),
      ownerPassword: testPassword(`${name}_owner`),
    });
    await bootstrap({
      adminUrl: postgres.adminUrl,
      database: templateDatabase,
      services: folders.filter((entry) => entry.isDirectory()).map((entry) => credentials(entry.name)),
      provider: credentials("provider"),
      gatewayPassword: testPassword("gateway"),
      auditorPassword: testPassword("auditor"),
    });
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  project.provide("postgresAdminUrl", postgres.adminUrl);
  return () => postgres.stop();
}
