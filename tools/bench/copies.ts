/**
 * Many finished orders in no time: those that are there, which were bought through the graph, are copied in the tables of
 * all services and of the provider, and their events in the log. Every id, number and code of a copy is its own, so that it is an
 * order as the first ones are: the audit holds for copies as for originals. Runs while nothing but Postgres does.
 */
import type { Client } from "pg";
import { provider, services } from "../processes.ts";
import { createMarker, mark } from "./marking.ts";

/** Rows that describe goods, tariffs and the processes themselves: copies share them. */
const shared = new Set([
  ...["locations", "categories", "products", "product_categories", "skus", "prices", "product_prices"].map(inventory),
  ...["search_words", "stock"].map(inventory),
  ...["catalogue_products", "catalogue_skus", "tax_rates", "shipping_methods", "coupons"].map(
    (name) => `orders.${name}`,
  ),
  ...["products", "skus", "availabilities", "bought_together"].map((name) => `frontend.${name}`),
  "payments.accounts",
  "provider.tokens",
]);
const sharedOfEach = new Set(["migrations", "log_positions", "outbox"]);

function inventory(table: string): string {
  return `inventory.${table}`;
}

/** Of these tables only the orders' rows. */
const firstOrder = "(SELECT id FROM orders.orders ORDER BY id LIMIT 1)";
const onlyOrders: Record<string, string> = {
  "inventory.movements": "reason = 'SALE'",
  "eventlog.events": `id >= ${firstOrder}`,
};
const onlyOrdersOfEach: Record<string, string> = {
  inbox: `event_id >= ${firstOrder}`,
  idempotency: "operation <> 'importProducts'",
};

/** Columns of names that only one row may have, besides ids. */
const names = [
  ["orders.orders", "number"],
  ["fulfillment.shipments", "tracking_code"],
  ["provider.authorizations", "id"],
  ["provider.authorizations", "action_id"],
  ["provider.callbacks", "id"],
] as const;

interface Column {
  name: string;
  type: string;
}

interface Template {
  table: string;
  columns: Column[];
  /** The table of marked rows. */
  from: string;
  /** Those of the columns in which a mark stands. */
  marked: Set<string>;
  rows: number;
}

const events = "eventlog.events";
const chunkRows = 5_000;

export interface Copies {
  /** Orders that each copy adds. */
  orders: number;
  /** Copies them so often, first copies first; tells of each batch that is done. */
  make(count: number, tell: (done: number) => void): Promise<void>;
}

/**
 * Takes down the orders that are finished now, all that there are; `database` is a superuser's connection. What is bought
 * afterwards is not copied.
 */
export async function takeTemplates(database: Client): Promise<Copies> {
  await database.query("CREATE SCHEMA copies");
  const unlike = new Set<string>();
  for (const [table, column] of names) {
    const { rows } = await database.query<{ name: string }>(
      `SELECT ${column} AS name FROM ${table} WHERE ${column} IS NOT NULL`,
    );
    for (const { name } of rows) unlike.add(name);
  }
  const alike = await database.query<{ id: string }>(
    `SELECT id::text FROM inventory.skus UNION SELECT id::text FROM inventory.products UNION SELECT id::text FROM inventory.locations`,
  );
  const marker = createMarker({ unlike, alike: new Set(alike.rows.map(({ id }) => id)) });
  const templates: Template[] = [];
  for (const [index, table] of (await tablesOfOrders(database)).entries()) {
    const template = await takeTemplate(database, table, `copies.t${index}`, marker);
    if (template.rows > 0) templates.push(template);
  }
  const orders = templates.find(({ table }) => table === "orders.orders")?.rows ?? 0;
  let made = 0;
  return {
    orders,
    async make(count, tell) {
      const atOnce = Math.max(1, Math.floor(10_000 / orders));
      for (let from = 1; from <= count; from += atOnce) {
        const to = Math.min(count, from + atOnce - 1);
        await insert(database, templates, made + from, made + to);
        tell(to);
      }
      made += count;
    },
  };
}

async function tablesOfOrders(database: Client): Promise<string[]> {
  const { rows } = await database.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2`,
    [[...services, provider].map(({ name }) => name)],
  );
  const own = rows.filter(({ schema, name }) => !shared.has(`${schema}.${name}`) && !sharedOfEach.has(name));
  return [...own.map(({ schema, name }) => `${schema}.${name}`), events];
}

async function takeTemplate(
  database: Client,
  table: string,
  from: string,
  marker: (text: string) => string,
): Promise<Template> {
  const all = await database.query<Column & { given: boolean }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attidentity = '' AND attgenerated = '' AS given
     FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  );
  // Copies get numbers of their own, in the order of those of the originals.
  const columns = all.rows.filter(({ given }) => given);
  const [identity] = all.rows.filter(({ given }) => !given);
  const order = table === events ? 'topic, partition, "offset"' : identity ? quoted(identity.name) : "1";
  const where = onlyOrders[table] ?? onlyOrdersOfEach[table.split(".")[1]!] ?? "true";
  const { rows } = await database.query<Record<string, string | null>>(
    `SELECT ${columns.map(({ name }) => `${quoted(name)}::text`).join()} FROM ${table} WHERE ${where} ORDER BY ${order}`,
  );
  const marked = new Set<string>();
  const texts = rows.map((row, index) => {
    const text: Record<string, string | number | null> = { template_row: index };
    for (const { name } of columns) {
      const value = row[name] ?? null;
      text[name] = value === null ? null : marker(value);
      if (text[name] !== value) marked.add(name);
    }
    return text;
  });
  const fields = ["template_row int", ...columns.map(({ name }) => `${quoted(name)} text`)].join();
  await database.query(`CREATE UNLOGGED TABLE ${from} (${fields})`);
  for (let first = 0; first < texts.length; first += chunkRows) {
    const chunk = JSON.stringify(texts.slice(first, first + chunkRows));
    await database.query(`INSERT INTO ${from} SELECT * FROM json_to_recordset($1) AS r(${fields})`, [chunk]);
  }
  return { table, columns, from, marked, rows: texts.length };
}

/** Copies with these numbers, all of their rows or none. */
async function insert(database: Client, templates: Template[], first: number, last: number): Promise<void> {
  await database.query("BEGIN");
  // Neither references nor triggers are looked at, row by row; the audit looks at the whole.
  await database.query("SET LOCAL session_replication_role = replica");
  await database.query("SET LOCAL synchronous_commit = off");
  for (const template of templates) {
    const { table, columns, from } = template;
    const into = columns.map(({ name }) => quoted(name)).join();
    const values = columns.map((column) => valueOf(column, template, first)).join();
    const more =
      table === events
        ? `JOIN eventlog.heads h ON h.topic = t.topic AND h.partition = t.partition::int
           JOIN (SELECT topic, partition, count(*) AS count FROM ${from} GROUP BY 1, 2) c ON c.topic = t.topic AND c.partition = t.partition
           JOIN (SELECT template_row, row_number() OVER (PARTITION BY topic, partition ORDER BY template_row) - 1 AS place FROM ${from}) p USING (template_row)`
        : "";
    await database.query(
      `INSERT INTO ${table} (${into}) SELECT ${values} FROM ${from} t ${more} CROSS JOIN generate_series(${first}, ${last}) AS copy(number)
       ORDER BY copy.number, t.template_row`,
    );
  }
  const copies = last - first + 1;
  const log = templates.find(({ table }) => table === events);
  if (log) await moveHeads(database, log, copies);
  // What copies have sold has left the shelves.
  const movements = templates.find(({ table }) => table === "inventory.movements");
  if (movements) {
    await database.query(
      `UPDATE inventory.stock s SET on_hand = s.on_hand + m.quantity * ${copies}
       FROM (SELECT sku_id, location_id, sum(quantity::bigint) AS quantity FROM ${movements.from} GROUP BY 1, 2) m
       WHERE s.sku_id = m.sku_id::uuid AND s.location_id = m.location_id::uuid`,
    );
  }
  await database.query("COMMIT");
}

function valueOf({ name, type }: Column, { table, marked }: Template, first: number): string {
  const column = `t.${quoted(name)}`;
  if (table === events && name === "offset") return `h.next + (copy.number - ${first}) * c.count + p.place`;
  // Never falls within a partition.
  if (table === events && name === "appended_at") return "now()";
  if (marked.has(name)) return `replace(${column}, '${mark}', lpad(to_hex(copy.number), ${mark.length}, '0'))::${type}`;
  return `${column}::${type}`;
}

/** All groups have handled the copies' events: what came of them is copied too. */
async function moveHeads(database: Client, { from }: Template, copies: number): Promise<void> {
  await database.query(
    `UPDATE eventlog.heads h SET next = h.next + c.count * ${copies}
     FROM (SELECT topic, partition, count(*) AS count FROM ${from} GROUP BY 1, 2) c
     WHERE h.topic = c.topic AND h.partition = c.partition::int`,
  );
  await database.query(
    `UPDATE eventlog.positions p SET committed = h.next FROM eventlog.heads h
     WHERE h.topic = p.topic AND h.partition = p.partition AND p.committed <> h.next`,
  );
  for (const { name } of services) {
    await database.query(
      `UPDATE ${name}.log_positions p SET next = h.next FROM eventlog.heads h
       WHERE h.topic = p.topic AND h.partition = p.partition AND p.next <> h.next`,
    );
  }
}

function quoted(name: string): string {
  return `"${name}"`;
}
