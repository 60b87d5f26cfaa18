import { serviceNames } from "@crowdcrunch/shop/parts";

/** How an invariant is checked; docs/invariants.md explains each. */
export type Kind =
  /** By the rows that there are. */
  | "state"
  /** By rows that a constraint of the database would have refused. */
  | "constraint"
  /** By the event log, against inboxes and aggregates. */
  | "log"
  /** By triggers that refuse, and by the event log. */
  | "guard"
  /** Beside what a load driver was told. */
  | "driver"
  /** By the generated matrix of the tests. */
  | "matrix";

interface Described {
  /** As in docs/invariants.md. */
  number: number;
  /** A name for metrics and tests. */
  name: string;
  says: string;
}

export interface SqlInvariant extends Described {
  kind: "state" | "constraint" | "guard";
  /**
   * How old, in seconds, something must be to count: what is younger may still be on its way. `$1` in the query, which
   * holds at any moment where there is none.
   */
  windowSeconds?: number;
  /** Gives the offending rows, each with what identifies it. */
  sql: string;
}

/** What is read from the log besides its query, if it has one; see log-audit.ts. */
export interface LogInvariant extends Described {
  kind: "log" | "guard";
  windowSeconds?: number;
  sql?: string;
  readsLog: true;
}

export interface InvariantElsewhere extends Described {
  kind: "driver" | "matrix";
  /** What checks it. */
  where: string;
}

export type CheckedInvariant = SqlInvariant | LogInvariant;
export type Invariant = CheckedInvariant | InvariantElsewhere;

/** One query over the same table of all services. */
export function overServices(query: (schema: string) => string): string {
  return serviceNames.map(query).join("\nUNION ALL\n");
}

/** A moment before which things count. */
export const windowStart = "now() - make_interval(secs => $1)";
