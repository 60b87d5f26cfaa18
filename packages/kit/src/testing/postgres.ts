import { randomBytes } from "node:crypto";
import { Client, escapeIdentifier } from "pg";
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Superuser's URL of the Postgres that all test files share. */
    postgresAdminUrl: string;
  }
}

/** The bootstrapped database that each test file gets a copy of. */
export const templateDatabase = "crowdcrunch_template";

/** The password of a role in tests; roles are shared by all databases of a server. */
export function testPassword(role: string): string {
  return `${role}-secret`;
}

export interface TestDatabase {
  name: string;
  /** The superuser's URL of this database. */
  adminUrl: string;
  /** The URL of a role, e.g. "orders" or "orders_owner". */
  url(role: string): string;
  /** Ends what is still connected and drops the database. */
  drop(): Promise<void>;
}

/**
 * Makes a copy of the bootstrapped database (50 ms): roles, schemas and the event log are there, no service has migrated.
 * Or of another database, to which nobody may be connected meanwhile.
 */
export async function createDatabase(
  postgresAdminUrl: string = inject("postgresAdminUrl"),
  template: string = templateDatabase,
): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;

  function urlOf(user: string | undefined): string {
    const url = new URL(postgresAdminUrl);
    url.pathname = `/${name}`;
    if (user !== undefined) [url.username, url.password] = [user, testPassword(user)];
    return url.href;
  }

  await administer(postgresAdminUrl, async (admin) => {
    await admin.query(`CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE ${escapeIdentifier(template)}`);
    // Who may connect is kept outside the database and is not copied with it.
    const { rows } = await admin.query<{ role: string }>(
      `SELECT grantee::regrole::text AS role FROM pg_database, aclexplode(datacl)
       WHERE datname = $1 AND privilege_type = 'CONNECT' AND grantee <> 0`,
      [template],
    );
    await admin.query(
      `REVOKE ALL ON DATABASE ${escapeIdentifier(name)} FROM PUBLIC;
       GRANT CONNECT ON DATABASE ${escapeIdentifier(name)} TO ${rows.map((row) => row.role).join(", ")}`,
    );
  });
  return {
    name,
    adminUrl: urlOf(undefined),
    url: urlOf,
    drop: () =>
      administer(postgresAdminUrl, (admin) => admin.query(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`)),
  };
}

async function administer(url: string, work: (admin: Client) => Promise<unknown>): Promise<void> {
  const admin = new Client({ connectionString: url });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}
