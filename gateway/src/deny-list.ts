import { tokensRevoked } from "@crowdcrunch/events/users";
import type { DeliveredEvent, EventLog, Tail } from "@crowdcrunch/kit/eventlog";
import { clockSkewSeconds, tokenLifetimeSeconds } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import type { Logger } from "@crowdcrunch/kit/logger";

/**
 * Revoked sessions and people. A revocation matters until the last token that it could deny has expired, by whichever
 * clock; a minute more is for the way through the log.
 */
const rememberedMs = (tokenLifetimeSeconds + clockSkewSeconds + 60) * 1_000;
const sweepEveryMs = 60_000;

interface Revocation {
  /** Tokens issued before or at this moment are denied, ms since 1970. */
  issuedBeforeMs: number;
  /** When it was heard of, ms of a monotonic clock. */
  heardMs: number;
}

export interface DenyList {
  denies(viewer: Viewer): boolean;
  /** Calls it after each revocation that is heard of. */
  onRevoked(told: () => void): void;
  /** Begins to read along the log; tries again while the log is away. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Denies revoked access tokens, which subgraphs would accept until they expire. Kept in memory, read from the log. */
export function createDenyList(options: { eventLog: EventLog; log: Logger }): DenyList {
  const { eventLog, log } = options;
  const sessions = new Map<string, Revocation>();
  const people = new Map<string, Revocation>();
  const told: (() => void)[] = [];
  let tail: Tail | undefined;
  let stopped = false;
  let starting: Promise<void> = Promise.resolve();

  function onEvents(events: DeliveredEvent[]): void {
    for (const event of events) {
      if (event.type !== tokensRevoked.type) continue;
      try {
        revoke(tokensRevoked.parse(event.data));
      } catch (error) {
        // The others must not be lost with it.
        log.error({ id: event.id, error: (error as Error).message }, "a revocation cannot be read");
      }
    }
  }

  function revoke(revoked: ReturnType<typeof tokensRevoked.parse>): void {
    const revocations = revoked.sessionId === undefined ? people : sessions;
    const key = revoked.sessionId ?? revoked.userId;
    const issuedBeforeMs = Math.max(Date.parse(revoked.issuedBefore), revocations.get(key)?.issuedBeforeMs ?? 0);
    revocations.set(key, { issuedBeforeMs, heardMs: performance.now() });
    for (const tell of told) tell();
  }

  // A gap may have swallowed a revocation: read the last minutes again, which changes nothing that is known.
  function readAgain(reason: string): void {
    log.warn({ reason }, "the event log was away; revoked tokens may be denied late");
    starting = starting.then(begin);
  }

  async function begin(): Promise<void> {
    const previous = tail;
    tail = undefined;
    if (previous) await previous.stop();
    if (stopped) return;
    const since = new Date(Date.now() - rememberedMs);
    tail = await eventLog.tail({ topics: [tokensRevoked.topic], since, onEvents, onGap: readAgain });
  }

  const sweep = setInterval(() => {
    const forgottenMs = performance.now() - rememberedMs;
    for (const revocations of [sessions, people]) {
      for (const [key, { heardMs }] of revocations) if (heardMs < forgottenMs) revocations.delete(key);
    }
  }, sweepEveryMs);
  sweep.unref();

  return {
    denies(viewer) {
      // A session does not come back; a person signs in again, with tokens that are issued later.
      if (sessions.has(viewer.sid)) return true;
      const revocation = people.get(viewer.sub);
      return revocation !== undefined && Math.floor(viewer.iat * 1_000) <= revocation.issuedBeforeMs;
    },
    onRevoked: (tell) => void told.push(tell),
    start() {
      starting = starting.then(begin);
      return starting;
    },
    async stop() {
      stopped = true;
      clearInterval(sweep);
      await starting;
      await tail?.stop();
    },
  };
}
