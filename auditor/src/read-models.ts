import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";
import type { Query } from "./query.ts";
import type { Expectation } from "./waitlist.ts";

/** A read model that shows the state of others' aggregates, row by row, each with the version that it shows. */
export interface ReadModel {
  /** The service that keeps it. */
  consumer: string;
  table: string;
  /** The event that fills it. */
  type: string;
  /** What an event is about; undefined where it is about no row. */
  rowOf(event: DeliveredEvent): string | undefined;
  /** The row `r` of the table that `told.row` names. */
  isRow: string;
  /** Rows that may be gone. */
  mayBeGone?: string;
}

/** A row that must show at least this version. */
export interface ShownVersion extends Expectation {
  model: ReadModel;
  id: string;
  rowName: string;
  version: number;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const bySubject = ({ subject }: DeliveredEvent) => (uuid.test(subject) ? subject : undefined);
const ofProducts = {
  type: "inventory.product-changed.v1",
  rowOf: bySubject,
  isRow: "r.product_id = told.row::uuid",
};

/** All tables of services with versions of others; their trigger never_older keeps a row from going back. */
export const readModels: readonly ReadModel[] = [
  { consumer: "orders", table: "catalogue_products", ...ofProducts },
  { consumer: "frontend", table: "products", ...ofProducts },
  {
    consumer: "frontend",
    table: "availabilities",
    type: "inventory.availability-changed.v1",
    rowOf: bySubject,
    isRow: "r.sku_id = told.row::uuid",
  },
  {
    consumer: "frontend",
    table: "consents",
    type: "customers.consent-changed.v1",
    rowOf(event) {
      const { purpose } = event.data as { purpose?: unknown };
      return uuid.test(event.subject) && typeof purpose === "string" ? `${event.subject} ${purpose}` : undefined;
    },
    isRow: "r.customer_id = split_part(told.row, ' ', 1)::uuid AND r.purpose = split_part(told.row, ' ', 2)",
    mayBeGone: "SELECT FROM frontend.erased x WHERE x.customer_id = split_part(told.row, ' ', 1)::uuid",
  },
];

/** Read models whose guard is missing or off. */
export const unguardedReadModels = readModels
  .map(({ consumer, table }) => {
    const name = `${consumer}.${table}`;
    return `SELECT '${name}' AS read_model, 'no guard' AS row
            WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
                              WHERE t.tgrelid = '${name}'::regclass AND f.proname = 'refuse_older_version' AND t.tgenabled IN ('O', 'A'))`;
  })
  .join("\nUNION ALL\n");

/** What read models must show after an event. */
export function shownVersionsOf(event: DeliveredEvent): ShownVersion[] {
  return readModels.flatMap((model) => {
    const rowName = model.type === event.type ? model.rowOf(event) : undefined;
    if (rowName === undefined) return [];
    const { id, sequence: version, topic, partition, offset } = event;
    const { consumer, table } = model;
    const name = `${consumer}.${table} ${rowName}`;
    const row = { read_model: `${consumer}.${table}`, row: rowName, told: version };
    return [{ name, consumer, model, id, rowName, version, topic, partition, offset, row }];
  });
}

/** Of each row the newest version that it was told. */
export function newestOf(shown: ShownVersion[]): ShownVersion[] {
  const newest = new Map<string, ShownVersion>();
  for (const version of shown) {
    const known = newest.get(version.name);
    if (!known || known.version <= version.version) newest.set(version.name, version);
  }
  return [...newest.values()];
}

/** Those whose rows show something older, or are not there. An event that waits or is parked has not been told yet. */
export async function missingVersions(query: Query, shown: ShownVersion[]): Promise<ShownVersion[]> {
  const missing: ShownVersion[] = [];
  for (const [{ consumer, table, isRow, mayBeGone }, of] of Map.groupBy(shown, ({ model }) => model)) {
    const rows = await query<{ row: string }>(
      `SELECT told.row FROM unnest($1::uuid[], $2::text[], $3::int[]) AS told(id, row, version)
       LEFT JOIN ${consumer}.${table} r ON ${isRow}
       WHERE (r.version IS NULL OR r.version < told.version)${mayBeGone ? ` AND NOT EXISTS (${mayBeGone})` : ""}
         AND NOT EXISTS (SELECT FROM ${consumer}.waiting w WHERE w.event_id = told.id)
         AND NOT EXISTS (SELECT FROM ${consumer}.parked p WHERE p.event_id = told.id)`,
      [of.map(({ id }) => id), of.map(({ rowName }) => rowName), of.map(({ version }) => version)],
    );
    const names = new Set(rows.map(({ row }) => row));
    missing.push(...of.filter(({ rowName }) => names.has(rowName)));
  }
  return missing;
}
