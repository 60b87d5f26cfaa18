import { hash } from "node:crypto";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";
import type { Variables } from "../query-size.ts";
import type { Answer } from "./answer.ts";
import type { LiveField } from "./fields.ts";
import { createHeard } from "./heard.ts";
import type { LiveOperation } from "./operation.ts";
import { nextEvent } from "./stream.ts";
import type { LiveStream } from "./stream.ts";

/** Events within this time are answered by one query, in ms. */
export const coalescingMs = 50;

/** Queries for listeners that run at once; the others wait their turn, so that a gap is no flood for the services. */
const mostAtOnce = 16;

/** When a query that could not be answered is asked again, in ms; twice as long each time. */
const retryAfterMs = { first: 500, most: 5_000 };

/** Somebody who listens. */
export interface Member {
  viewer: Viewer | null;
  /** The header that the query is asked with. */
  authorization: string | undefined;
  clientAddress: string;
  /** When the token ends, ms of a monotonic clock. */
  endsMs: number;
  stream: LiveStream;
  /** Ends the stream after this result: there is nothing more to listen to. */
  end(result: string): void;
  /** The hash of the last result sent. */
  sent?: string;
}

/** Equal listeners: the same operation and variables, asked by the same person in the same roles. */
export interface Group {
  id: string;
  operation: LiveOperation;
  variables: Variables;
  members: Set<Member>;
  /** What its events are found by: the field and the key. */
  keys: string[];
  version: number;
  state: "idle" | "waiting" | "queued" | "asking";
  /** Something happened while it was asking. */
  isDue: boolean;
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

export interface Groups {
  /** Adds a listener, who gets the current state and then each change. */
  join(operation: LiveOperation, variables: Variables, member: Member): Group;
  leave(group: Group, member: Member): void;
  onEvents(events: DeliveredEvent[]): void;
  /** Something was missed: asks for all groups again. */
  askAll(): void;
  size(): number;
  stop(): void;
}

export interface GroupsOptions {
  fields: Record<string, LiveField>;
  /** Asks a group's query as that member. */
  ask: (group: Group, member: Member) => Promise<Answer>;
  metrics: Metrics;
}

/** Asks one query for each event and group of equal listeners, and sends each what it has not got yet. */
export function createGroups(options: GroupsOptions): Groups {
  const { fields, metrics } = options;
  const groups = new Map<string, Group>();
  const byKey = new Map<string, Set<Group>>();
  const heard = createHeard();
  const queue: Group[] = [];
  let asking = 0;
  let isStopped = false;
  const queries = metrics.counter("crowdcrunch_gateway_live_queries_total", "Queries asked for listeners", [
    "field",
    "outcome",
  ]);

  const byType = new Map<string, [name: string, field: LiveField][]>();
  for (const [name, field] of Object.entries(fields)) {
    for (const { type } of field.events) byType.set(type, [...(byType.get(type) ?? []), [name, field]]);
  }

  function keyed(name: string, key: string): string {
    return `${name} ${key}`;
  }

  function listenTo(group: Group, keys: string[]): void {
    for (const key of keys) {
      const found = byKey.get(key);
      if (found) found.add(group);
      else byKey.set(key, new Set([group]));
    }
    group.keys = keys;
  }

  function forget(group: Group): void {
    clearTimeout(group.timer);
    groups.delete(group.id);
    for (const key of group.keys) {
      const found = byKey.get(key);
      found?.delete(group);
      if (found?.size === 0) byKey.delete(key);
    }
  }

  /** Something may be new: the group asks after a moment, or once more when it has its answer. */
  function touch(group: Group, delayMs = coalescingMs): void {
    if (isStopped) return;
    if (group.state === "asking") group.isDue = true;
    if (group.state !== "idle") return;
    group.state = "waiting";
    group.timer = setTimeout(() => {
      group.state = "queued";
      queue.push(group);
      askNext();
    }, delayMs);
  }

  function askNext(): void {
    while (asking < mostAtOnce) {
      const group = queue.shift();
      if (!group) return;
      if (isStopped || groups.get(group.id) !== group) continue;
      asking++;
      void askFor(group).finally(() => {
        asking--;
        askNext();
      });
    }
  }

  async function askFor(group: Group): Promise<void> {
    group.state = "asking";
    group.isDue = false;
    const before = heard.now();
    // The token that ends last, so that it is good until the answer is there.
    const member = [...group.members].reduce((best, candidate) => (candidate.endsMs > best.endsMs ? candidate : best));
    const answer = await options.ask(group, member);
    if (isStopped || groups.get(group.id) !== group) return;
    group.state = "idle";
    queries.inc({ field: group.operation.name, outcome: answer.outcome });
    if (answer.outcome !== "retry") deliver(group, answer, before);
    group.failures = answer.outcome === "retry" || answer.isPartial ? group.failures + 1 : 0;
    if (group.isDue) touch(group);
    else if (group.failures > 0) {
      touch(group, Math.min(retryAfterMs.first * 2 ** (group.failures - 1), retryAfterMs.most));
    }
  }

  function deliver(group: Group, answer: Answer, before: number): void {
    if (answer.key !== undefined && group.keys.length === 0) {
      const key = keyed(group.operation.name, answer.key);
      listenTo(group, [key]);
      group.isDue ||= heard.since(key, before);
    }
    if (answer.version < group.version) return;
    group.version = answer.version;
    if (answer.outcome === "ended") {
      for (const member of [...group.members]) member.end(answer.text);
      return;
    }
    const sent = hash("sha256", answer.text, "base64");
    const event = Buffer.from(nextEvent(answer.text));
    for (const member of group.members) {
      if (member.sent === sent) continue;
      member.sent = sent;
      member.stream.send(event);
    }
  }

  return {
    join(operation, variables, member) {
      const { sub, roles, orderScope } = member.viewer ?? {};
      const id = JSON.stringify([operation.query, variables, sub, [...(roles ?? [])].sort(), orderScope]);
      let group = groups.get(id);
      if (!group) {
        group = {
          id,
          operation,
          variables,
          members: new Set(),
          keys: [],
          version: 0,
          state: "idle",
          isDue: false,
          failures: 0,
          timer: undefined,
        };
        groups.set(id, group);
        listenTo(
          group,
          operation.keysIn(variables).map((key) => keyed(operation.name, key)),
        );
      }
      group.members.add(member);
      // The answer that is on its way is for the new member too: what comes after it is heard.
      if (group.state === "idle") touch(group);
      return group;
    },
    leave(group, member) {
      group.members.delete(member);
      if (group.members.size === 0 && groups.get(group.id) === group) forget(group);
    },
    onEvents(events) {
      for (const event of events) {
        for (const [name, field] of byType.get(event.type) ?? []) {
          const key = keyed(name, field.keyOf(event));
          heard.add(key);
          for (const group of byKey.get(key) ?? []) touch(group);
        }
      }
    },
    askAll() {
      for (const group of groups.values()) {
        // A database that was set back has lower versions from here on.
        group.version = 0;
        touch(group);
      }
    },
    size: () => groups.size,
    stop() {
      isStopped = true;
      for (const group of groups.values()) clearTimeout(group.timer);
    },
  };
}
