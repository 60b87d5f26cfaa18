import type { Logger } from "@crowdcrunch/kit/logger";
import type { GraphQLFormattedError } from "graphql";

/** Codes that the gateway itself gives to what is wrong with a request, or with what it could not get. */
const ownCodes = new Set([
  "BAD_REQUEST",
  "BAD_USER_INPUT",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "OPERATION_RESOLUTION_FAILURE",
  "PERSISTED_QUERY_NOT_FOUND",
  "PERSISTED_QUERY_NOT_SUPPORTED",
  "SUBGRAPH_UNAVAILABLE",
  "TIMEOUT",
  "UNAVAILABLE",
]);

/** Codes that say something of the plan and not of the request when a subgraph gives them. */
const codesBetweenServices = new Set([
  "BAD_REQUEST",
  "DOWNSTREAM_SERVICE_ERROR",
  "GRAPHQL_PARSE_FAILED",
  "GRAPHQL_VALIDATION_FAILED",
  "INTERNAL_SERVER_ERROR",
]);

/**
 * What a client sees of an error: the code and fields that a subgraph or the gateway gave on purpose, without names of
 * services and stack traces; of all else only that something went wrong.
 */
export function createErrorFormat(log: Logger): (formatted: GraphQLFormattedError) => GraphQLFormattedError {
  return (formatted) => {
    const { serviceName, stacktrace: _, exception: _exception, ...extensions } = formatted.extensions ?? {};
    const code = extensions["code"];
    const known = serviceName === undefined ? ownCodes.has(String(code)) : !codesBetweenServices.has(String(code));
    if (known) return { ...formatted, extensions };
    log.error({ error: formatted.message, code, subgraph: serviceName, path: formatted.path }, "a request failed");
    return {
      message: "Something went wrong.",
      ...(formatted.path ? { path: formatted.path } : {}),
      extensions: { code: "INTERNAL_SERVER_ERROR" },
    };
  };
}

/** The body of an answer to a request that did not come as far as the graph. */
export function refusal(code: string, message: string, retryAfterMs?: number): { errors: GraphQLFormattedError[] } {
  return { errors: [{ message, extensions: { code, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } }] };
}
