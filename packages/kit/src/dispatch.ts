import type { EventContract, EventOf, ParsedEvent } from "@crowdcrunch/events/contract";
import type { Transaction } from "./database.ts";
import { PermanentError } from "./errors.ts";
import type { DeliveredEvent } from "./eventlog.ts";
import type { Metrics } from "./metrics.ts";

/** What a handler gives back: events whose time has not come. They are kept and tried again. */
export interface Waiting {
  wait: string[];
}

/**
 * Handles events of some contracts. It receives all of a batch at once, in order within a key, in one transaction:
 * load with `= ANY`, decide, save with one statement per table, emit. Lock rows in id order. Anything it throws that is
 * not the database's absence parks the guilty event and the later events of its key.
 */
export interface EventHandler {
  handles: readonly EventContract<string, never>[];
  handle(tx: Transaction, events: ParsedEvent[]): Promise<Waiting | void>;
}

/** Declares a handler whose events are typed by the contracts it handles. */
export function onEvents<const Contracts extends readonly EventContract<string, any>[]>(
  handles: Contracts,
  handle: (tx: Transaction, events: EventOf<Contracts[number]>[]) => Promise<Waiting | void>,
): EventHandler {
  return {
    handles: handles as unknown as readonly EventContract<string, never>[],
    handle: handle as EventHandler["handle"],
  };
}

export interface Dispatcher {
  /** The topics of the contracts that are handled. */
  topics: string[];
  /** True for events of a handled contract, in whatever version, and for those that nobody has declared. */
  concerns(event: DeliveredEvent): boolean;
  /** Runs the handlers over events of one transaction. Resolves to those that must wait. */
  dispatch(tx: Transaction, events: DeliveredEvent[]): Promise<DeliveredEvent[]>;
}

/** What is known of an event that is declared. */
export type DeclaredEvent = Pick<EventContract, "topic" | "name">;

/** Knows which handler an event goes to. Throws when two handle one contract. */
export function createDispatcher(options: {
  group: string;
  handlers: EventHandler[];
  /** Every event that is declared: one that is not may be for this service, by a publisher that is newer. */
  declared: readonly DeclaredEvent[];
  metrics: Metrics;
}): Dispatcher {
  const { group, handlers } = options;
  const contracts = new Map<string, { contract: EventContract<string, unknown>; handler: EventHandler }>();
  for (const handler of handlers) {
    for (const contract of handler.handles as unknown as EventContract<string, unknown>[]) {
      if (contracts.has(contract.type)) throw new Error(`${group} handles ${contract.type} twice`);
      contracts.set(contract.type, { contract, handler });
    }
  }
  // A known event in an unknown version must not be dropped: its consumer would silently miss it.
  const names = new Set([...contracts.values()].map(({ contract }) => nameOf(contract)));
  const ofOthers = new Set(options.declared.map(nameOf).filter((name) => !names.has(name)));
  const handledTotal = options.metrics.counter("crowdcrunch_events_handled_total", "Events handled", ["type"]);

  return {
    topics: [...new Set([...contracts.values()].map(({ contract }) => contract.topic))],
    concerns(event) {
      return contracts.has(event.type) || !ofOthers.has(event.type.replace(/\.v\d+$/, ""));
    },
    async dispatch(tx, events) {
      const byHandler = new Map<EventHandler, ParsedEvent[]>();
      for (const event of events) {
        const known = contracts.get(event.type);
        if (!known)
          throw new PermanentError(`no contract for ${event.type}: this version of ${group} does not know it`);
        const parsed = { ...event, data: parse(known.contract, event.data) };
        const list = byHandler.get(known.handler);
        if (list) list.push(parsed);
        else byHandler.set(known.handler, [parsed]);
      }
      const waiting = new Set<string>();
      for (const [handler, list] of byHandler) {
        const outcome = await handler.handle(tx, list);
        for (const id of outcome?.wait ?? []) waiting.add(id);
      }
      for (const event of events) if (!waiting.has(event.id)) handledTotal.inc({ type: event.type });
      return events.filter((event) => waiting.has(event.id));
    },
  };
}

function nameOf({ topic, name }: DeclaredEvent): string {
  return `${topic}.${name}`;
}

function parse(contract: EventContract<string, unknown>, data: unknown): unknown {
  try {
    return contract.parse(data);
  } catch (error) {
    throw new PermanentError((error as Error).message, { cause: error });
  }
}
