/**
 * How an invariant is checked: by the rows that there are, by what the event log holds, or by rows that a constraint of
 * the database would have refused. Elsewhere: not by the audit.
 */
export type Kind = "state" | "log" | "constraint" | "elsewhere";

interface Described {
  /** As in docs/invariants.md. */
  number: number;
  /** A name for metrics and tests. */
  name: string;
  says: string;
}

export interface CheckedInvariant extends Described {
  kind: Exclude<Kind, "elsewhere">;
  /**
   * How old, in seconds, something must be to count: what is younger may still be on its way. `$1` in the query, which
   * holds at any moment where there is none.
   */
  windowSeconds?: number;
  /** Gives the offending rows, each with what identifies it. */
  sql: string;
}

export interface InvariantElsewhere extends Described {
  kind: "elsewhere";
  /** What checks it. */
  where: string;
}

export type Invariant = CheckedInvariant | InvariantElsewhere;

/** The services, whose schemas all have the kit's tables. */
export const services = [
  "users",
  "customers",
  "inventory",
  "orders",
  "payments",
  "fulfillment",
  "exchanges",
  "frontend",
] as const;

/** One query over the same table of all services. */
export function overServices(query: (schema: string) => string): string {
  return services.map(query).join("\nUNION ALL\n");
}

/** A moment before which things count. */
export const windowStart = "now() - make_interval(secs => $1)";
