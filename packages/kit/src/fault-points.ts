/**
 * The places where a process can be made to fail on purpose. The names are a contract: scenarios, `make faults` and
 * docs/faults.md use them.
 */

/** What every place can do: kill the process at once, let it exit, be slow, or fail as a lost connection does. */
const anywhere = ["kill", "exit", "delay", "error"] as const;

const points = {
  "transaction.before-commit": {
    actions: [...anywhere, "cut"],
    place: "all statements of a transaction are sent, its COMMIT is not; `cut` sends it and drops the connection",
    lookAt: "nothing happened and a retry works; after `cut` the idempotency key tells which it was",
  },
  "transaction.after-commit": {
    actions: anywhere,
    place: "a transaction is committed, its caller and the relay do not know it yet",
    lookAt: "the same key gives the same result; the events are published by the next sweep",
  },
  "relay.before-append": {
    actions: anywhere,
    place: "the outbox has events, the log has not been asked to take them",
    lookAt: "crowdcrunch_outbox_failures_total, the outbox grows and drains in order",
  },
  "relay.after-append": {
    actions: anywhere,
    place: "the log has the events, the relay has not gone on; on Kafka the outbox still has them too",
    lookAt: "on Kafka the events are repeated, and the inbox of each consumer absorbs that",
  },
  "consumer.in-handler": {
    actions: anywhere,
    place: "the handlers have handled a batch, their transaction is not committed",
    lookAt: "the batch is rolled back and delivered again",
  },
  "consumer.after-commit": {
    actions: anywhere,
    place: "a batch is committed, its offsets are not",
    lookAt: "the batch is delivered again and skipped as seen",
  },
  "provider.before-call": {
    actions: anywhere,
    place: "payments is about to ask the provider",
    lookAt: "the operation is made later, with the same key",
  },
  "provider.during-call": {
    actions: anywhere,
    place: "the provider has been asked and has begun to answer, the answer is not read",
    lookAt: "the operation is UNKNOWN, is looked up, and there is one charge",
  },
  "provider.after-call": {
    actions: anywhere,
    place: "the answer is read, the outcome is not stored",
    lookAt: "the operation is UNKNOWN, is looked up, and there is one charge",
  },
  "graphql.request": {
    actions: anywhere,
    place: "an operation is parsed and valid, its execution has not begun",
    lookAt: "UNAVAILABLE or a late answer at the gateway; partial data where one service of several fails",
  },
  "gateway.fetch": {
    actions: anywhere,
    place: "the gateway is about to ask a subgraph",
    lookAt: "crowdcrunch_gateway_fetch_seconds, SUBGRAPH_UNAVAILABLE for the fields of that service alone",
  },
  "provider-api.before-execute": {
    actions: anywhere,
    place: "the simulated provider has a request and has done nothing; `error` answers 500",
    lookAt: "payments looks the operation up, does not find it, and asks again",
  },
  "provider-api.after-execute": {
    actions: [...anywhere, "withhold"],
    place: "the simulated provider has executed a request; `error` answers 500, `withhold` never answers",
    lookAt: "the operation is UNKNOWN, is looked up, and there is one charge",
  },
  "provider-api.callback": {
    actions: ["before", "twice", "late", "forged", "other-amount"],
    place:
      "an operation is settled and about to be answered: a further callback goes out before the answer, twice beside " +
      "it, delayMs after it, with a forged signature, or signed but with another amount",
    lookAt: "one transition; forged ones and other amounts are refused and logged",
  },
} as const;

export type FaultPoint = keyof typeof points;
export type FaultAction = (typeof points)[FaultPoint]["actions"][number];
/** Actions that `Faults.at` does by itself. */
export type CommonAction = (typeof anywhere)[number];
/** Actions that only their place can do: `Faults.at` resolves to them. */
export type OwnAction = Exclude<FaultAction, CommonAction>;

export interface FaultPointDescription {
  actions: readonly FaultAction[];
  /** The moment, in words. */
  place: string;
  /** What to look at when it fires. */
  lookAt: string;
}

export const faultPoints: Readonly<Record<FaultPoint, FaultPointDescription>> = points;
