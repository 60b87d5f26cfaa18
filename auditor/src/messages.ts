import { overServices, windowStart } from "./invariant.ts";
import type { CheckedInvariant } from "./invariant.ts";
import { unguardedReadModels } from "./read-models.ts";

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
    readsLog: true,
  },
  {
    number: 17,
    name: "versions_without_gap",
    says: "Distinct events of an aggregate have versions 1 to n without gap.",
    kind: "log",
    readsLog: true,
  },
  {
    number: 18,
    name: "read_models_advance",
    says: "No read model ever goes back in version.",
    kind: "guard",
    windowSeconds: 60,
    sql: unguardedReadModels,
    readsLog: true,
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
