/** A read model that shows the state of others' aggregates, row by row, each with the version that it shows. */
export interface ReadModel {
  /** The service that keeps it. */
  consumer: string;
  table: string;
  /** The event that fills it. */
  type: string;
  /** What a row is about, in the table and in an event. */
  row: string;
  event: string;
  /** Rows that may be gone. */
  except?: string;
}

const ofProducts = { type: "inventory.product-changed.v1", row: "r.product_id::text", event: "e.subject" };

/** All tables of services with versions of others; their trigger never_older keeps a row from going back. */
export const readModels: readonly ReadModel[] = [
  { consumer: "orders", table: "catalogue_products", ...ofProducts },
  { consumer: "frontend", table: "products", ...ofProducts },
  {
    consumer: "frontend",
    table: "availabilities",
    type: "inventory.availability-changed.v1",
    row: "r.sku_id::text",
    event: "e.subject",
  },
  {
    consumer: "frontend",
    table: "consents",
    type: "customers.consent-changed.v1",
    row: "r.customer_id::text || ' ' || r.purpose",
    event: "e.subject || ' ' || (e.data->>'purpose')",
    except: "SELECT FROM frontend.erased x WHERE x.customer_id::text = split_part(h.row, ' ', 1)",
  },
];

/** Rows whose guard is missing or off, and rows behind what their consumer has handled: those went back, or were lost. */
export const readModelsGoneBack = readModels
  .map(({ consumer, table, type, row, event, except }) => {
    const name = `${consumer}.${table}`;
    return `SELECT '${name}' AS read_model, 'no guard' AS row, NULL::int AS version, NULL::int AS handled
            WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
                              WHERE t.tgrelid = '${name}'::regclass AND f.proname = 'refuse_older_version' AND t.tgenabled IN ('O', 'A'))
            UNION ALL
            SELECT '${name}', h.row, r.version, h.sequence
            FROM (SELECT ${event} AS row, max(e.sequence) AS sequence FROM eventlog.events e
                  WHERE e.topic = '${type.split(".")[0]}' AND e.type = '${type}'
                    AND EXISTS (SELECT FROM ${consumer}.inbox i WHERE i.event_id = e.id)
                    AND NOT EXISTS (SELECT FROM ${consumer}.waiting w WHERE w.event_id = e.id)
                    AND NOT EXISTS (SELECT FROM ${consumer}.parked p WHERE p.event_id = e.id)
                  GROUP BY 1) h
            LEFT JOIN ${name} r ON ${row} = h.row
            WHERE (r.version IS NULL OR r.version < h.sequence)${except ? ` AND NOT EXISTS (${except})` : ""}`;
  })
  .join("\nUNION ALL\n");
