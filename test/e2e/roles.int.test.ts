import { createLogger } from "@crowdcrunch/kit/logger";
import { migrate } from "@crowdcrunch/kit/migrate";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { repositoryRoot, serviceNames } from "@crowdcrunch/tools/schemas";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const services = serviceNames();
const schemas = [...services, "provider"];
const runningRoles = [...schemas, "gateway", "auditor"];
const roles = [...runningRoles, ...schemas.map((schema) => `${schema}_owner`)];

/** The schema that belongs to a role; undefined for those that own nothing. */
const schemaOf = (role: string) => schemas.find((schema) => schema === role || `${schema}_owner` === role);

interface Relation {
  schema: string;
  /** Quoted and qualified. */
  name: string;
  column: string;
}

let database: TestDatabase;
let tables: Relation[];
let sequences: string[];

beforeAll(async () => {
  database = await createDatabase();
  const log = createLogger({ service: "test", level: "silent" });
  for (const service of schemas) {
    const folder = service === "provider" ? "provider" : join("services", service);
    await migrate({
      service,
      ownerUrl: database.url(`${service}_owner`),
      folder: pathToFileURL(join(repositoryRoot, folder, "migrations/")),
      log,
      messaging: service !== "provider",
    });
  }
  // Topics and a group, so that there is something of others to touch in the log.
  for (const service of services) {
    await as(service, (client) => client.query("SELECT eventlog.create_topic($1, 1)", [service]));
  }
  await asAdmin(async (client) => {
    const found = await client.query<Relation>(
      `SELECT n.nspname AS schema, format('%I.%I', n.nspname, c.relname) AS name,
         (SELECT quote_ident(attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND attgenerated = ''
            AND attidentity = '' ORDER BY attnum LIMIT 1) AS column
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 2`,
    );
    tables = found.rows;
    sequences = (
      await client.query<{ name: string }>(`SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind = 'S'`)
    ).rows.map(({ name }) => name);
  });
});
afterAll(() => database?.drop());

async function connected<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
const as = <Result>(role: string, work: (client: Client) => Promise<Result>) => connected(database.url(role), work);
const asAdmin = <Result>(work: (client: Client) => Promise<Result>) => connected(database.adminUrl, work);

const refused = new Set([
  "42501", // insufficient_privilege
  "25006", // read_only_sql_transaction: the auditor's sessions are
]);

/** Tries each statement as the role and takes it back. Resolves to those that were not refused for want of rights. */
async function permitted(role: string, statements: string[]): Promise<string[]> {
  return as(role, async (client) => {
    const done: string[] = [];
    for (const statement of statements) {
      await client.query("BEGIN");
      const code = await client.query(statement).then(
        () => "done",
        (error: { code?: string }) => error.code ?? "",
      );
      await client.query("ROLLBACK");
      if (!refused.has(code)) done.push(`${statement}: ${code}`);
    }
    return done;
  });
}

const reading = ({ name }: Relation) => `SELECT FROM ${name} LIMIT 0`;
const writing = ({ name, column }: Relation) => [
  `INSERT INTO ${name} DEFAULT VALUES`,
  `UPDATE ${name} SET ${column} = ${column} WHERE false`,
  `DELETE FROM ${name} WHERE false`,
  `TRUNCATE ${name}`,
];
const redefining = ({ name, column }: Relation) => [
  `ALTER TABLE ${name} ADD COLUMN planted int`,
  `ALTER TABLE ${name} DROP COLUMN ${column}`,
  `ALTER TABLE ${name} DISABLE TRIGGER USER`,
  `DROP TABLE ${name}`,
  `CREATE TRIGGER planted BEFORE INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
];

/** What services may read of the event log, on which everybody is told everything. */
const openLog = ["eventlog.topics", "eventlog.heads", "eventlog.events"];
const readsLog = (role: string, name: string) =>
  role === "auditor" ||
  (role === "gateway" && openLog.includes(name)) ||
  (services.includes(role) && [...openLog, "eventlog.positions"].includes(name));

describe.each(roles)("%s", (role) => {
  const own = schemaOf(role);

  test("reads and writes no table of others", async () => {
    const foreign = tables.filter(({ schema }) => schema !== own);
    expect(foreign.length).toBeGreaterThan(70);
    const statements = foreign.flatMap((table) => [
      ...(role === "auditor" || readsLog(role, table.name) ? [] : [reading(table)]),
      ...writing(table),
    ]);
    const ofSequences = sequences
      .filter((name) => !name.startsWith(`${own}.`))
      .flatMap((name) => [`SELECT nextval('${name}')`, `SELECT setval('${name}', 1)`]);
    expect(await permitted(role, [...statements, ...ofSequences])).toEqual([]);
  });

  test("changes no definition of others", async () => {
    const foreign = tables.filter(({ schema }) => schema !== own);
    const inSchemas = [...schemas, "eventlog", "extensions", "public"].filter((schema) => schema !== own);
    const victim = schemas.find((schema) => schema !== own)!;
    expect(
      await permitted(role, [
        ...foreign.flatMap(redefining),
        ...inSchemas.flatMap((schema) => [
          `CREATE TABLE ${schema}.planted (id int)`,
          `CREATE FUNCTION ${schema}.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
          `ALTER SCHEMA ${schema} RENAME TO planted`,
          `DROP SCHEMA ${schema} CASCADE`,
        ]),
        `ALTER TABLE ${victim}.migrations OWNER TO ${role}`,
      ]),
    ).toEqual([]);
  });

  test("gives nobody rights on what is not its own, and takes none", async () => {
    const others = roles.filter((other) => other !== role);
    const foreign = tables.filter(({ schema }) => schema !== own);
    const granted = await as(role, async (client) => {
      const done: string[] = [];
      for (const { name } of foreign) {
        // Without any right on the table it is an error, with some a warning and no effect.
        const notices: string[] = [];
        const listen = ({ code }: { code?: string }) => void notices.push(code ?? "");
        client.on("notice", listen);
        await client.query("BEGIN");
        const code = await client.query(`GRANT ALL ON ${name} TO ${role}`).then(
          () => (notices.includes("01007") ? "42501" : "done"),
          (error: { code?: string }) => error.code ?? "",
        );
        await client.query("ROLLBACK");
        client.off("notice", listen);
        if (!refused.has(code)) done.push(`${name}: ${code}`);
      }
      return done;
    });
    expect(granted).toEqual([]);
    expect(
      await permitted(role, [
        ...others.flatMap((other) => [
          `GRANT ${other} TO ${role}`,
          `SET ROLE ${other}`,
          `SET SESSION AUTHORIZATION ${other}`,
          `ALTER ROLE ${other} PASSWORD 'planted'`,
          `ALTER ROLE ${other} SET search_path = public`,
          `DROP ROLE ${other}`,
        ]),
        "SET ROLE postgres",
        "SET ROLE eventlog_owner",
        `ALTER ROLE ${role} SUPERUSER`,
        `ALTER ROLE ${role} CREATEROLE`,
        `ALTER ROLE ${role} BYPASSRLS`,
        "CREATE ROLE planted",
      ]),
    ).toEqual([]);
  });

  test("does nothing to the database or its server", async () => {
    expect(
      await permitted(role, [
        "CREATE SCHEMA planted",
        "CREATE EXTENSION pgcrypto",
        "CREATE TEMPORARY TABLE planted (id int)",
        `ALTER DATABASE ${database.name} SET work_mem = '1GB'`,
        "SET session_replication_role = replica",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/planted'",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT rolpassword FROM pg_authid",
        "SELECT pg_reload_conf()",
      ]),
    ).toEqual([]);
  });

  test("publishes to no topic but its own, and disturbs no group of others", async () => {
    const victim = services.find((service) => service !== own)!;
    const event = `ROW(gen_random_uuid(), '${victim}.x.v1', 'k', 's', 1, now(), NULL, false, '{}')::eventlog.event`;
    const id = "gen_random_uuid()";
    expect(
      await permitted(role, [
        `SELECT eventlog.append('${victim}', ARRAY[${event}])`,
        `SELECT eventlog.create_topic('${victim}', 1)`,
        `SELECT eventlog.create_topic('planted', 1)`,
        `SELECT eventlog.balance('${victim}', ${id}, ARRAY['${victim}'], '1 second')`,
        `SELECT eventlog.poll('${victim}', ${id}, ARRAY['${victim}'], 1, 1, '1 second', false)`,
        `SELECT eventlog.start_at('${victim}', ${id}, ARRAY['${victim}'], ARRAY[0], ARRAY[0], ARRAY[9])`,
        `SELECT eventlog.heartbeat('${victim}', ${id}, '1 second')`,
        `SELECT eventlog.commit('${victim}', ${id}, ARRAY['${victim}'], ARRAY[0], ARRAY[0], ARRAY[9])`,
        `SELECT eventlog.leave('${victim}', ${id})`,
        `SELECT eventlog.rewind('${victim}', ARRAY['${victim}'])`,
        `SELECT eventlog.rewind('${victim}.replica', ARRAY['${victim}'])`,
        `SELECT eventlog.trim('${victim}', '1 second', 1)`,
      ]),
    ).toEqual([]);
  });
});

test("nobody else can log in: each role that can is tried above", async () => {
  const logins = await asAdmin((client) =>
    client.query<{ rolname: string }>("SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname <> 'postgres'"),
  );
  expect(logins.rows.map(({ rolname }) => rolname).sort()).toEqual([...roles].sort());
});

test("ledger and movements are only ever added to", async () => {
  const added: Record<string, string[]> = {
    payments: ["payments.ledger_transactions", "payments.ledger_entries"],
    inventory: ["inventory.movements"],
  };
  for (const [role, names] of Object.entries(added)) {
    const found = tables.filter(({ name }) => names.includes(name));
    expect(found.map(({ name }) => name).sort()).toEqual(names.toSorted());
    const changing = found.flatMap(({ name, column }) => [
      `UPDATE ${name} SET ${column} = ${column} WHERE false`,
      `DELETE FROM ${name} WHERE false`,
    ]);
    expect(await permitted(role, changing)).toEqual([]);
  }
});

test.each([...services, "provider"])("%s has of its own schema the listed grants and no more", async (role) => {
  const owned = tables.filter(({ schema }) => schema === role);
  const definitions = [
    ...owned.flatMap(redefining),
    ...owned.map(({ name }) => `TRUNCATE ${name}`),
    `CREATE TABLE ${role}.planted (id int)`,
    `CREATE FUNCTION ${role}.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    `ALTER SCHEMA ${role} RENAME TO planted`,
    `DROP SCHEMA ${role} CASCADE`,
    `INSERT INTO ${role}.migrations (name, digest) VALUES ('planted', '')`,
  ];
  expect(await permitted(role, definitions)).toEqual([]);
  // What it is for, else all of the above proved nothing.
  expect((await permitted(role, owned.map(reading))).length).toBeGreaterThan(3);
  if (services.includes(role)) {
    expect(await permitted(role, [`SELECT eventlog.append('${role}', '{}')`])).toHaveLength(1);
  }
});
