import { readFile } from "node:fs/promises";
import { Client, escapeIdentifier as name, escapeLiteral as text } from "pg";

export interface SchemaCredentials {
  /** Name of the schema and of the running role; its owner is `<name>_owner`. */
  name: string;
  password: string;
  ownerPassword: string;
}

export interface BootstrapOptions {
  /** A role that may create roles and databases; a superuser is not needed. Any database that it can reach. */
  adminUrl: string;
  /** Name of the database to make. */
  database: string;
  /** Each gets a schema, its two roles and the use of the event log. */
  services: SchemaCredentials[];
  /** The payment provider: a schema and its two roles, without the event log. */
  provider: SchemaCredentials;
  /** The role `gateway` reads the event log and nothing else. */
  gatewayPassword: string;
  /** The role `auditor` reads everything and writes nothing. */
  auditorPassword: string;
}

const logOwner = "eventlog_owner";
const waiting = { lock_timeout: "5s", idle_in_transaction_session_timeout: "30s" };
/**
 * Every statement of a service has its index and touches few rows. The planner is told so: for a table that is small as
 * yet, or rows that come as JSON, it would read the whole table, and a prepared statement keeps that plan while the
 * table grows a thousandfold.
 */
const planning = {
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  random_page_cost: "1.1",
  jit: "off",
};
const running = { ...waiting, ...planning, statement_timeout: "15s" };

/**
 * Makes the database, its roles, schemas and the event log, and gives each role the least it needs. What exists is
 * brought up to date, passwords included, so it may run at any time and from several places at once. Tables are not its
 * affair: each service migrates its own schema. Needs Postgres 15 or later.
 */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const sqlOf = (file: string) => readFile(new URL(`eventlog-postgres/${file}`, import.meta.url), "utf8");
  const eventLogSql = `${await sqlOf("schema.sql")}\n${await sqlOf("closing.sql")}`;
  await connected(options.adminUrl, async (admin) => {
    // Roles belong to the whole server: a second bootstrap waits, also one for another database. Ends with the session.
    await admin.query("SELECT pg_advisory_lock(hashtext('crowdcrunch.bootstrap'))");
    const { rows } = await admin.query<{ superuser: boolean }>(
      "SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user",
    );
    const superuser = rows[0]?.superuser === true;
    await createRoles(admin, options, superuser);
    await createDatabase(admin, options);

    const url = new URL(options.adminUrl);
    url.pathname = `/${encodeURIComponent(options.database)}`;
    await connected(url.href, async (client) => {
      await client.query(
        ["BEGIN", ...schemaStatements(options), ...eventLogStatements(options, eventLogSql), "COMMIT"].join(";\n"),
      );
    });
  });
}

async function connected(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url, application_name: "bootstrap" });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

interface Role {
  name: string;
  /** Undefined: nobody logs in as this role. */
  password?: string;
  settings: Record<string, string>;
}

function rolesOf(options: BootstrapOptions): Role[] {
  const pairs = [...options.services, options.provider].flatMap((schema): Role[] => {
    const search_path = `${name(schema.name)}, extensions`;
    return [
      { name: `${schema.name}_owner`, password: schema.ownerPassword, settings: { search_path, ...waiting } },
      { name: schema.name, password: schema.password, settings: { search_path, ...running } },
    ];
  });
  return [
    ...pairs,
    { name: "gateway", password: options.gatewayPassword, settings: { search_path: "eventlog", ...running } },
    {
      name: "auditor",
      password: options.auditorPassword,
      settings: { default_transaction_read_only: "on", ...waiting },
    },
    { name: logOwner, settings: {} },
  ];
}

async function createRoles(admin: Client, options: BootstrapOptions, superuser: boolean): Promise<void> {
  const roles = rolesOf(options);
  const { rows } = await admin.query<{ rolname: string }>("SELECT rolname FROM pg_roles WHERE rolname = ANY($1)", [
    roles.map((role) => role.name),
  ]);
  const present = new Set(rows.map((row) => row.rolname));
  const statements = roles.flatMap((role) => [
    ...(present.has(role.name) ? [] : [`CREATE ROLE ${name(role.name)}`]),
    `ALTER ROLE ${name(role.name)} ${role.password === undefined ? "NOLOGIN" : `LOGIN PASSWORD ${text(role.password)}`}`,
    ...Object.entries(role.settings).map(([setting, value]) => {
      // A list of schemas is not one literal.
      return `ALTER ROLE ${name(role.name)} SET ${setting} = ${setting === "search_path" ? value : text(value)}`;
    }),
    // Without being superuser, only a member can make schemas for another role.
    ...(!superuser && isOwner(role) ? [`GRANT ${name(role.name)} TO CURRENT_USER`] : []),
  ]);
  await admin.query(["BEGIN", ...statements, "COMMIT"].join(";\n"));
}

function isOwner(role: Role): boolean {
  return role.name.endsWith("_owner");
}

async function createDatabase(admin: Client, options: BootstrapOptions): Promise<void> {
  const { rowCount } = await admin.query("SELECT FROM pg_database WHERE datname = $1", [options.database]);
  if (rowCount === 0) await admin.query(`CREATE DATABASE ${name(options.database)} ENCODING 'UTF8' TEMPLATE template0`);
  const logins = rolesOf(options).filter((role) => role.password !== undefined);
  await admin.query(
    `REVOKE ALL ON DATABASE ${name(options.database)} FROM PUBLIC;
     GRANT CONNECT ON DATABASE ${name(options.database)} TO ${logins.map((role) => name(role.name)).join(", ")}`,
  );
}

function schemaStatements(options: BootstrapOptions): string[] {
  const schemas = [...options.services, options.provider];
  const users = schemas.flatMap((schema) => [name(schema.name), name(`${schema.name}_owner`)]).join(", ");
  return [
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    // Trigrams are what text search forgives typing errors with. Only the database's owner may install them.
    "CREATE SCHEMA IF NOT EXISTS extensions",
    "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions",
    `GRANT USAGE ON SCHEMA extensions TO ${users}, auditor`,
    ...schemas.flatMap((schema) => {
      const [own, owner] = [name(schema.name), name(`${schema.name}_owner`)];
      return [
        `CREATE SCHEMA IF NOT EXISTS ${own} AUTHORIZATION ${owner}`,
        `GRANT USAGE ON SCHEMA ${own} TO ${own}, auditor`,
        `GRANT SELECT ON ALL TABLES IN SCHEMA ${own} TO auditor`,
        `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${own} GRANT SELECT ON TABLES TO auditor`,
        // Whoever sees the schema could call its functions, also those that act with the owner's rights.
        `REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA ${own} FROM PUBLIC`,
        `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`,
      ];
    }),
  ];
}

function eventLogStatements(options: BootstrapOptions, eventLogSql: string): string[] {
  const services = options.services.map((service) => name(service.name)).join(", ");
  return [
    `CREATE SCHEMA IF NOT EXISTS eventlog AUTHORIZATION ${name(logOwner)}`,
    `SET LOCAL ROLE ${name(logOwner)}`,
    eventLogSql,
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA eventlog FROM PUBLIC",
    `GRANT USAGE ON SCHEMA eventlog TO ${services}, gateway, auditor`,
    `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA eventlog TO ${services}`,
    `GRANT SELECT ON eventlog.topics, eventlog.heads, eventlog.events TO ${services}, gateway`,
    `GRANT SELECT ON eventlog.positions TO ${services}`,
    "GRANT SELECT ON ALL TABLES IN SCHEMA eventlog TO auditor",
    "RESET ROLE",
  ];
}
