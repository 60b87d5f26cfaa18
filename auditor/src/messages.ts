import { handledTypes } from "./handled.ts";
import { overServices, windowStart } from "./invariant.ts";
import type { CheckedInvariant } from "./invariant.ts";
import { readModelsGoneBack } from "./read-models.ts";

/** Aggregates that count their events: topic, table, id, version. */
const aggregates = [
  ["users", "users", "id", "version"],
  ["customers", "customers", "id", "version"],
  ["inventory", "products", "id", "version"],
  ["inventory", "skus", "id", "availability_version"],
  ["inventory", "order_stock", "order_id", "version"],
  ["orders", "orders", "id", "version"],
  ["payments", "payments", "id", "version"],
  ["payments", "refunds", "id", "version"],
  ["fulfillment", "fulfillments", "order_id", "version"],
  ["exchanges", "returns", "id", "version"],
  ["exchanges", "exchanges", "id", "version"],
] as const;

const stored = aggregates
  .map(
    ([topic, table, id, version]) =>
      `SELECT '${topic}' AS topic, ${id}::text AS subject, ${version} AS version FROM ${topic}.${table}`,
  )
  .join("\nUNION ALL\n");

/** A known event in a version that its consumer does not know must be parked, so types count without their version. */
const namesOf = (types: readonly string[]) => types.map((type) => `'${type.replace(/\.v\d+$/, "")}'`).join(", ");

/** Inboxes keep eight days and a log may keep more: the lowest id (UUIDv7) of an event that any inbox still has. */
const oldestInInboxes = `(lpad(to_hex((extract(epoch FROM now() - interval '7 days') * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid`;

const handled = Object.entries(handledTypes)
  .map(
    ([service, types]) => `SELECT '${service}' AS consumer, e.type, e.id FROM types t JOIN published e USING (type)
      WHERE t.name IN (${namesOf(types)})
        AND NOT EXISTS (SELECT FROM ${service}.inbox i WHERE i.event_id = e.id)
        AND NOT EXISTS (SELECT FROM ${service}.waiting w WHERE w.event_id = e.id)
        AND NOT EXISTS (SELECT FROM ${service}.parked p WHERE p.event_id = e.id)`,
  )
  .join("\nUNION ALL\n");

/** Events on their way, what was received of them, and what only adds. */
export const messagesInvariants: CheckedInvariant[] = [
  {
    number: 14,
    name: "outbox_drains",
    says: "No unpublished outbox row older than 60 s.",
    kind: "state",
    windowSeconds: 60,
    sql: overServices(
      (service) =>
        `SELECT '${service}' AS service, event_id, type, key, time FROM ${service}.outbox WHERE time < ${windowStart}`,
    ),
  },
  {
    number: 15,
    name: "published_is_received",
    says: "Every published event of a type that a consumer handles is in its inbox, waiting or parked.",
    kind: "log",
    windowSeconds: 60,
    sql: `WITH published AS MATERIALIZED (
            SELECT id, type FROM eventlog.events WHERE appended_at < ${windowStart} AND id >= ${oldestInInboxes}),
          types AS MATERIALIZED (
            SELECT type, regexp_replace(type, '\\.v\\d+$', '') AS name FROM (SELECT DISTINCT type FROM published) AS t)
          ${handled}`,
  },
  {
    number: 17,
    name: "versions_without_gap",
    says: "Distinct events of an aggregate have versions 1 to n without gap.",
    kind: "log",
    // And n is what the aggregate itself has counted: the latest event is not lost either.
    sql: `WITH published AS (
            SELECT topic, subject, sequence, id FROM eventlog.events WHERE NOT republished
            UNION ALL
            ${overServices((service) => `SELECT '${service}', subject, sequence, event_id FROM ${service}.outbox WHERE NOT republished`)}),
          steps AS (
            SELECT topic, subject, sequence, min(id::text) <> max(id::text) AS is_double FROM published GROUP BY topic, subject, sequence),
          told AS (
            SELECT topic, subject, count(*) AS events, min(sequence) AS lowest, max(sequence) AS highest, bool_or(is_double) AS is_double
            FROM steps GROUP BY topic, subject),
          stored AS (${stored})
          SELECT topic, subject, t.events, t.lowest, t.highest, t.is_double, s.version
          FROM told t FULL JOIN stored s USING (topic, subject)
          WHERE t.is_double OR t.lowest <> 1 OR t.highest <> t.events OR s.version <> coalesce(t.highest, 0)`,
  },
  {
    number: 18,
    name: "read_models_advance",
    says: "No read model ever goes back in version.",
    kind: "constraint",
    sql: readModelsGoneBack,
  },
  {
    number: 21,
    name: "parked_has_an_incident",
    says: "No parked event without an open incident.",
    kind: "state",
    sql: overServices(
      (service) => `SELECT '${service}' AS service, event_id, key, reason FROM ${service}.parked p
        WHERE NOT EXISTS (SELECT FROM ${service}.incidents i
                          WHERE i.kind = 'EVENT_PARKED' AND i.subject = p.key AND i.resolved_at IS NULL)`,
    ),
  },
  {
    number: 23,
    name: "entries_only_added",
    says: "Ledger and movement tables refuse UPDATE and DELETE to the service's role.",
    kind: "constraint",
    sql: `SELECT t.name, p.privilege
          FROM (VALUES ('payments', 'payments.ledger_entries'), ('payments', 'payments.ledger_transactions'),
                       ('inventory', 'inventory.movements')) AS t(role, name),
               (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(privilege)
          WHERE has_table_privilege(t.role, t.name, p.privilege)
             OR p.privilege = 'UPDATE' AND has_any_column_privilege(t.role, t.name, p.privilege)`,
  },
];
