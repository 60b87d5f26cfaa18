import type { EventConsumer } from "./consumer.ts";
import type { Database, Transaction } from "./database.ts";
import { invalid, notFound } from "./errors.ts";
import type { RequestContext } from "./graphql.ts";
import type { FaultInput, Faults } from "./faults.ts";
import { requireUuid } from "./idempotency.ts";
import { listIncidents, resolveIncident } from "./incidents.ts";
import type { ResolverMap } from "./access.ts";
import { requireViewer } from "./identity.ts";
import { listParked, showParked } from "./parked-list.ts";

/**
 * Emits the current state of the aggregates after `after` in id order, at their current versions. Resolves to the last id
 * and the number of events; a number of 0 ends the republication.
 */
export type Republish = (
  tx: Transaction,
  after: string | null,
  limit: number,
) => Promise<{ last: string | null; events: number }>;

/** A page's size. Throws InvalidInput outside 1…100. */
export function pageSize(first: number | null | undefined): number {
  const size = first ?? 50;
  if (size < 1 || size > 100) throw invalid("first", "A page has 1 to 100 entries.");
  return size;
}

/** Resolvers of what sdl.ts adds to every service. */
export function operationsResolvers(
  service: string,
  parts: { db: Database; consumer: EventConsumer; faults: Faults; republish: Republish | undefined },
): ResolverMap {
  const { db, consumer, faults, republish } = parts;
  return {
    Query: {
      [`${service}Incidents`]: (_: unknown, args: { first: number; after: string | null; resolvedToo: boolean }) =>
        listIncidents(db, {
          first: pageSize(args.first),
          after: args.after ? requireUuid(args.after, "after") : null,
          resolvedToo: args.resolvedToo,
        }),
      [`${service}Parked`]: (_: unknown, args: { first: number; after: string | null; key: string | null }) =>
        listParked(db, { first: pageSize(args.first), after: positionOf(args.after), key: args.key ?? null }),
      [`${service}ParkedEvent`]: (_: unknown, args: { id: string }) => showParked(db, requireUuid(args.id, "id")),
      [`${service}Faults`]: () => faults.list(),
    },
    Mutation: {
      [`${service}ResolveIncident`]: (_: unknown, args: { id: string; resolution: string }, context: RequestContext) =>
        resolveIncident(db, requireUuid(args.id, "id"), requireViewer(context.viewer).sub, args.resolution),
      [`${service}ReplayParked`]: (_: unknown, args: { key: string | null }, context: RequestContext) =>
        consumer.replayParked(args.key ?? null, requireViewer(context.viewer).sub),
      [`${service}DiscardParked`]: (_: unknown, args: DiscardArguments, context: RequestContext) =>
        discardParked(consumer, args, requireViewer(context.viewer).sub),
      [`${service}ReadAgain`]: async () => ({ events: await consumer.readAgain() }),
      [`${service}SetFaults`](_: unknown, args: { faults: FaultInput[] }) {
        faults.set(args.faults);
        return faults.list();
      },
      ...(republish ? { [`${service}Republish`]: () => republishAll(db, republish) } : {}),
    },
  };
}

/** What a page of parked events goes on behind. */
function positionOf(after: string | null | undefined): number {
  if (after == null) return 0;
  if (!/^\d{1,15}$/.test(after)) throw invalid("after", "This is no endCursor of a page of parked events.");
  return Number(after);
}

interface DiscardArguments {
  id?: string | null;
  key?: string | null;
  reason: string;
}

async function discardParked(consumer: EventConsumer, args: DiscardArguments, by: string) {
  const id = args.id == null ? null : requireUuid(args.id, "id");
  const key = args.key ?? null;
  if ((id === null) === (key === null)) throw invalid("id", "Name one event by its id, or all of a key by the key.");
  const reason = args.reason.trim();
  if (reason === "") throw invalid("reason", "Say why, for those who look for the event later.");
  const outcome = await consumer.discardParked({ id, key, reason, by });
  if (outcome.discarded === 0) throw notFound("No such event is parked.");
  return outcome;
}

async function republishAll(db: Database, republish: Republish): Promise<{ events: number }> {
  let after: string | null = null;
  let events = 0;
  for (;;) {
    const page = await db.transaction((tx) => republish(tx, after, 200));
    if (page.events === 0) return { events };
    events += page.events;
    after = page.last;
  }
}
