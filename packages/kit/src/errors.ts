import { GraphQLError } from "graphql";

/**
 * An expected failure: part of the schema. Where the field's return union has a member of this name, the problem becomes
 * the field's value; elsewhere an `errors` entry with the code.
 */
export class Problem extends Error {
  override name = "Problem";
  typename: string;
  fields: Record<string, unknown>;
  constructor(typename: string, message: string, fields: Record<string, unknown>) {
    super(message);
    this.typename = typename;
    this.fields = fields;
  }
}

/** A failure that callers see as an `errors` entry with a stable code. */
export class CodedError extends Error {
  override name = "CodedError";
  code: string;
  retryAfterMs: number | undefined;
  constructor(code: string, message: string, retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** An event that will never be handled, however often it is tried: it is parked. */
export class PermanentError extends Error {
  override name = "PermanentError";
}

/** Makes a problem of the schema; `fields` are the type's further fields. */
export function problem(typename: string, message: string, fields: Record<string, unknown> = {}): Problem {
  return new Problem(typename, message, fields);
}

/** A value that cannot be accepted; `field` says where it stands in the input, e.g. `lines[2].quantity`. */
export function invalid(field: string, message: string): Problem {
  return new Problem("InvalidInput", message, { field });
}

export function notFound(message = "There is no such thing, or it is not yours."): Problem {
  return new Problem("NotFound", message, {});
}

export function forbidden(message = "You may not do this."): Problem {
  return new Problem("Forbidden", message, {});
}

/** The thing's state does not allow it. */
export function notPossible(state: string, message: string): Problem {
  return new Problem("NotPossible", message, { state });
}

export function unauthenticated(message = "A valid access token is needed."): CodedError {
  return new CodedError("UNAUTHENTICATED", message);
}

/** Try again after the given time; nothing was done. */
export function retryable(code: string, message: string, retryAfterMs: number): CodedError {
  return new CodedError(code, message, retryAfterMs);
}

const codesOfProblems: Record<string, string> = {
  InvalidInput: "BAD_USER_INPUT",
  NotFound: "NOT_FOUND",
  Forbidden: "FORBIDDEN",
  KeyReused: "KEY_REUSED",
};

/** The one mapping of thrown errors to GraphQL errors. What nobody expected is hidden, and `report`ed. */
export function toGraphQLError(error: unknown, report: (error: unknown) => void): GraphQLError {
  let cause = error;
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError;
  // GraphQL's own findings about the request are for the caller.
  if (cause instanceof GraphQLError) return cause;
  if (cause instanceof Problem) {
    const code =
      codesOfProblems[cause.typename] ?? cause.typename.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    return new GraphQLError(cause.message, { extensions: { code, ...cause.fields } });
  }
  if (cause instanceof CodedError) {
    const extensions = {
      code: cause.code,
      ...(cause.retryAfterMs === undefined ? {} : { retryAfterMs: cause.retryAfterMs }),
    };
    return new GraphQLError(cause.message, { extensions });
  }
  if (isMalformed(cause)) {
    return new GraphQLError("A value is malformed or out of range.", { extensions: { code: "BAD_USER_INPUT" } });
  }
  if (isUnavailable(cause)) {
    report(cause);
    return new GraphQLError("The service cannot answer now; try again.", {
      extensions: { code: "UNAVAILABLE", retryAfterMs: 1000 },
    });
  }
  report(cause);
  return new GraphQLError("Something went wrong.", { extensions: { code: "INTERNAL_SERVER_ERROR" } });
}

/** A text that is no UUID or number, or a number beyond the column's range: refused by the database before it did anything. */
function isMalformed(error: unknown): boolean {
  return ["22P02", "22003", "22007", "22008", "22021"].includes((error as { code?: string } | undefined)?.code ?? "");
}

const transientStates = new Set([
  "40001",
  "40P01",
  "55P03",
  "57014",
  "57P01",
  "57P02",
  "57P03",
  "57P05",
  "25P03",
  "25P04",
  "58000",
  "58030",
]);

/** True for errors of the database's connection, locks and shutdowns: worth another try, with nothing wrong in the request. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "EventLogUnavailable" || isUnavailable(error.cause)) return true;
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") {
    if (transientStates.has(code) || code.startsWith("08") || code.startsWith("53")) return true;
    if (
      [
        "ECONNREFUSED",
        "ECONNRESET",
        "EPIPE",
        "ETIMEDOUT",
        "EHOSTUNREACH",
        "ENETUNREACH",
        "ENOTFOUND",
        "EAI_AGAIN",
      ].includes(code)
    )
      return true;
  }
  return /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|server closed the connection/i.test(
    error.message,
  );
}

/** True where no connection came free or could be made in time: nothing has reached the database. */
export function isTurnedAway(error: unknown): boolean {
  return error instanceof Error && error.message === "timeout exceeded when trying to connect";
}

/** True where a statement took longer than it may. */
export function isStatementTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (error as { code?: unknown }).code === "57014" || isStatementTimeout(error.cause);
}

/** True where the same event may be handled later: its handler met a lock or an absent database, and no fault of its own. */
export function isTransient(error: unknown): boolean {
  return (
    !(error instanceof PermanentError) &&
    (isUnavailable(error) || (error instanceof CodedError && error.code === "IN_PROGRESS"))
  );
}

/** What an error says, whatever was thrown; without NUL, which the database does not keep. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll("\0", "");
}
