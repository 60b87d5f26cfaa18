import { statement } from "./database.ts";
import type { Queryable } from "./database.ts";
import { notFound, notPossible } from "./errors.ts";

export interface Incident {
  id: string;
  kind: string;
  subject: string;
  detail: string;
  openedAt: Date;
  resolvedAt: Date | null;
  resolvedBy: string | null;
  resolution: string | null;
}

const insertIncident = statement(
  "incidentOpen",
  `INSERT INTO incidents (id, kind, subject, detail) VALUES ($1, $2, $3, $4)
   ON CONFLICT (kind, subject) WHERE resolved_at IS NULL DO UPDATE SET detail = excluded.detail`,
);
const columns = `id, kind, subject, detail, opened_at AS "openedAt", resolved_at AS "resolvedAt", resolved_by AS "resolvedBy", resolution`;
const pageOfIncidents = statement<Incident>(
  "incidentPage",
  `SELECT ${columns} FROM incidents WHERE id > $1 AND ($2 OR resolved_at IS NULL) ORDER BY id LIMIT $3`,
);
const resolve = statement<Incident>(
  "incidentResolve",
  `UPDATE incidents SET resolved_at = coalesce(resolved_at, now()), resolved_by = coalesce(resolved_by, $2), resolution = coalesce(resolution, $3)
   WHERE id = $1 AND (resolved_at IS NOT NULL OR kind <> 'EVENT_PARKED' OR NOT EXISTS (SELECT FROM parked WHERE key = subject))
   RETURNING ${columns}`,
);
const exists = statement<{ id: string }>("incidentExists", `SELECT id FROM incidents WHERE id = $1`);

/** The open incident about a key's parked events; locked. */
export const parkedIncident = statement<{ id: string }>(
  "incidentOfParked",
  `SELECT id FROM incidents WHERE kind = 'EVENT_PARKED' AND subject = $1 AND resolved_at IS NULL FOR UPDATE`,
);
/** Adds to what was done about an incident that stays open. */
export const noteOnIncident = statement(
  "incidentNote",
  `UPDATE incidents SET resolution = concat_ws('; ', resolution, $2::text) WHERE id = $1`,
);
/** Resolves it where none of the key's events is parked any more; adds what was done last, where it is given. */
export const resolveParkedIncident = statement(
  "incidentOfParkedResolve",
  `UPDATE incidents SET resolved_at = now(), resolved_by = $2, resolution = concat_ws('; ', resolution, $3::text)
   WHERE id = $1 AND NOT EXISTS (SELECT FROM parked WHERE key = subject)`,
);

/** Opens an incident for staff; one of a kind and subject is open at a time. */
export async function openIncident(
  tx: Queryable,
  newId: () => string,
  incident: { kind: string; subject: string; detail: string },
): Promise<void> {
  await tx.run(insertIncident, [newId(), incident.kind, incident.subject, incident.detail]);
}

const lowestId = "00000000-0000-0000-0000-000000000000";

/** A page of incidents by age; open ones only unless `resolvedToo`. */
export async function listIncidents(
  db: Queryable,
  page: { first: number; after: string | null; resolvedToo: boolean },
) {
  const rows = await db.many(pageOfIncidents, [page.after ?? lowestId, page.resolvedToo, page.first + 1]);
  const nodes = rows.slice(0, page.first);
  return { nodes, pageInfo: { hasNextPage: rows.length > page.first, endCursor: nodes.at(-1)?.id ?? null } };
}

/**
 * Marks an incident as resolved; the first resolution stays. Throws NotPossible while events are parked behind it: they
 * would be forgotten.
 */
export async function resolveIncident(db: Queryable, id: string, by: string, resolution: string): Promise<Incident> {
  const incident = await db.one(resolve, [id, by, resolution]);
  if (incident) return incident;
  if (!(await db.one(exists, [id]))) throw notFound("There is no such incident.");
  throw notPossible("PARKED", "Events of this key are still parked: replay them, which resolves the incident.");
}
