import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { CodedError, retryable } from "@crowdcrunch/kit/errors";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { tokenLifetimeSeconds } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { FastifyReply } from "fastify";
import { forwardedHeaders } from "../context.ts";
import type { DenyList } from "../deny-list.ts";
import { refusal } from "../errors.ts";
import type { Graph } from "../graph.ts";
import type { Variables } from "../query-size.ts";
import { readAnswer } from "./answer.ts";
import type { Answer } from "./answer.ts";
import type { LiveField } from "./fields.ts";
import { createGroups } from "./groups.ts";
import type { Group, Member } from "./groups.ts";
import { createListener } from "./listener.ts";
import { createOperations, longestSubscription } from "./operation.ts";
import type { LiveOperation } from "./operation.ts";
import { createPlaces } from "./places.ts";
import { completeEvent, nextEvent, openStream, streamHeaders } from "./stream.ts";

export interface LiveOptions {
  fields: Record<string, LiveField>;
  graph: Graph;
  eventLog: EventLog;
  denyList: DenyList;
  limits: LiveLimits;
  /** Time for a query, in ms. */
  budgetMs: number;
  log: Logger;
  metrics: Metrics;
}

export interface LiveLimits {
  /** Most streams that are open at once. */
  streams: number;
  /** Most of them for one person, or for one address without a token. */
  streamsPerPerson: number;
  /** After how long without a result a comment is sent, in ms. */
  heartbeatMs: number;
}

/** Who wants to listen. */
export interface Caller {
  viewer: Viewer | null;
  authorization: string | undefined;
  clientAddress: string;
}

export interface Live {
  /** The subscription of a document; undefined where it is something else. Throws InvalidOperation. */
  read(query: string, operationName: string | undefined): LiveOperation | undefined;
  /**
   * Answers with a stream. Throws InvalidOperation for bad variables, QUERY_TOO_LARGE, TOO_MANY_STREAMS and UNAVAILABLE
   * before anything is sent.
   */
  open(operation: LiveOperation, variables: Variables, caller: Caller, reply: FastifyReply): Promise<FastifyReply>;
  /** Ends all streams, so that clients listen at another gateway, or at this one when it is back. */
  stop(): Promise<void>;
}

/** An open stream. */
interface Listening extends Member {
  group: Group | undefined;
  hasEnded: boolean;
}

const sweepEveryMs = 1_000;
/** A client that takes nothing for so long is gone, in ms. */
const stalledMs = 60_000;
/** How long the log is read on without listeners: a page that is loaded again comes back at once. */
const idleMs = 60_000;
/** Ended streams come back in so many portions, a tenth of a second apart. */
const portions = 20;

/** Live updates: keeps streams up to date with what happens, as long as their tokens are good. */
export function createLive(options: LiveOptions): Live {
  const { fields, graph, denyList, limits, log, metrics } = options;
  const all = new Set<Listening>();
  const places = createPlaces(limits);
  let idleSinceMs = performance.now();
  let isStopped = false;
  const open = metrics.gauge("crowdcrunch_gateway_live_streams", "Open streams of live updates");
  const ended = metrics.counter("crowdcrunch_gateway_live_ended_total", "Streams that ended, by reason", ["reason"]);
  const superseded = metrics.counter(
    "crowdcrunch_gateway_live_superseded_total",
    "Results that a slow client did not get, because a newer one took their place",
  );

  const groups = createGroups({ fields, ask, metrics });
  const listener = createListener({
    eventLog: options.eventLog,
    contracts: Object.values(fields).flatMap(({ events }) => events),
    onEvents: groups.onEvents,
    onGap(reason) {
      log.warn({ reason, groups: groups.size() }, "events may have been missed; all listeners are asked for again");
      groups.askAll();
    },
  });

  async function ask(
    { operation, variables }: Group,
    { viewer, authorization, clientAddress }: Member,
  ): Promise<Answer> {
    const requestId = crypto.randomUUID();
    try {
      const { body } = await graph.server.executeOperation(
        { query: operation.query, variables },
        {
          contextValue: {
            viewer,
            requestId,
            forwarded: forwardedHeaders({ authorization, requestId, clientAddress, traceparent: undefined }),
            cookie: undefined,
            deadlineMs: performance.now() + options.budgetMs,
            setCookies: [],
            outcome: { operation: "none", code: "OK" },
          },
        },
      );
      if (body.kind !== "single") throw new Error("answers in parts are not supported");
      return readAnswer(operation, body.singleResult);
    } catch (error) {
      log.error({ requestId, field: operation.name, error: (error as Error).stack }, "a query for listeners failed");
      return { outcome: "retry", isPartial: true, text: "", key: undefined, version: 0 };
    }
  }

  function end(listening: Listening, reason: string, result?: string): void {
    if (listening.hasEnded) return;
    listening.hasEnded = true;
    if (listening.group) groups.leave(listening.group, listening);
    ended.inc({ reason });
    listening.stream.end((result === undefined ? "" : nextEvent(result)) + completeEvent);
  }

  function endWith(listening: Listening, reason: string, code: string, message: string, retryAfterMs?: number): void {
    end(listening, reason, JSON.stringify(refusal(code, message, retryAfterMs)));
  }

  function endRevoked(): void {
    for (const listening of all) {
      if (!listening.viewer || !denyList.denies(listening.viewer)) continue;
      endWith(listening, "revoked", "UNAUTHENTICATED", "The session has ended; sign in again.");
    }
  }

  function sweep(): void {
    const nowMs = performance.now();
    endRevoked();
    for (const listening of all) {
      const { stream, viewer, endsMs } = listening;
      if (stream.stalledMs() > stalledMs) stream.destroy();
      else if (nowMs < endsMs) stream.beat(limits.heartbeatMs);
      else if (viewer) {
        endWith(listening, "token", "UNAUTHENTICATED", "The access token has expired; refresh it and listen again.");
      } else endWith(listening, "time", "UNAVAILABLE", "A stream ends after ten minutes; listen again.", 100);
    }
    if (all.size > 0) idleSinceMs = nowMs;
    else if (nowMs - idleSinceMs > idleMs) void listener.stop();
  }

  const sweeping = setInterval(sweep, sweepEveryMs);
  sweeping.unref();
  denyList.onRevoked(endRevoked);

  function listen(response: ServerResponse, caller: Caller, leave: () => void): Listening {
    const { viewer } = caller;
    const livesMs = viewer ? viewer.exp * 1_000 - Date.now() : tokenLifetimeSeconds * 1_000;
    const listening: Listening = {
      ...caller,
      endsMs: performance.now() + livesMs,
      stream: openStream(response, () => superseded.inc()),
      end: (result) => end(listening, "nothing", result),
      group: undefined,
      hasEnded: false,
    };
    all.add(listening);
    open.set(all.size);
    response.once("close", () => {
      all.delete(listening);
      open.set(all.size);
      leave();
      if (listening.hasEnded) return;
      listening.hasEnded = true;
      if (listening.group) groups.leave(listening.group, listening);
      ended.inc({ reason: "client" });
    });
    return listening;
  }

  return {
    read: createOperations(graph.schema, fields),

    async open(operation, variables, caller, reply) {
      if (operation.query.length + JSON.stringify(variables).length > longestSubscription) {
        throw new CodedError("QUERY_TOO_LARGE", "The query asks for too much.");
      }
      operation.keysIn(variables);
      if (isStopped) throw away();
      idleSinceMs = performance.now();
      const leave = places.take(caller.viewer?.sub ?? `address ${caller.clientAddress}`);
      try {
        // Listens before it asks for the state, so that nothing is missed between.
        await listener.start();
      } catch (error) {
        leave();
        log.warn({ error: (error as Error).message }, "the event log cannot be read along");
        throw away();
      }
      if (isStopped || reply.raw.destroyed) {
        leave();
        throw away();
      }
      reply.hijack();
      reply.raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...streamHeaders });
      reply.raw.flushHeaders();
      const listening = listen(reply.raw, caller, leave);
      listening.group = groups.join(operation, variables, listening);
      return reply;
    },

    async stop() {
      isStopped = true;
      clearInterval(sweeping);
      groups.stop();
      let count = 0;
      for (const listening of all) {
        const retryAfterMs = 500 + (count++ % portions) * 100;
        endWith(listening, "shutdown", "UNAVAILABLE", "This gateway stops; listen again.", retryAfterMs);
      }
      await listener.stop();
    },
  };
}

function away(): CodedError {
  return retryable("UNAVAILABLE", "Live updates are not available now; try again.", 1_000);
}
