import { GraphQLError } from "graphql";
import { describe, expect, test } from "vitest";
import {
  PermanentError,
  forbidden,
  invalid,
  isTransient,
  isUnavailable,
  notFound,
  notPossible,
  problem,
  retryable,
  toGraphQLError,
  unauthenticated,
} from "./errors.ts";

function withCode(code: string, message = "of the driver"): Error {
  return Object.assign(new Error(message), { code });
}

describe("what callers are told", () => {
  test.each([
    [invalid("lines[2].quantity", "Too many."), { code: "BAD_USER_INPUT", field: "lines[2].quantity" }, "Too many."],
    [notFound("No such order."), { code: "NOT_FOUND" }, "No such order."],
    [forbidden("Not you."), { code: "FORBIDDEN" }, "Not you."],
    [notPossible("SHIPPED", "Too late."), { code: "NOT_POSSIBLE", state: "SHIPPED" }, "Too late."],
    [problem("KeyReused", "Used."), { code: "KEY_REUSED" }, "Used."],
    [problem("PriceChanged", "Dearer.", { priceMinor: 5 }), { code: "PRICE_CHANGED", priceMinor: 5 }, "Dearer."],
    [unauthenticated("Who?"), { code: "UNAUTHENTICATED" }, "Who?"],
    [retryable("CATALOGUE_BEHIND", "Soon.", 500), { code: "CATALOGUE_BEHIND", retryAfterMs: 500 }, "Soon."],
    [new GraphQLError("Syntax Error", { extensions: { code: "X" } }), { code: "X" }, "Syntax Error"],
  ])("%s, as it is", (error, extensions, message) => {
    const reported: unknown[] = [];
    const mapped = toGraphQLError(error, (cause) => reported.push(cause));
    expect({ ...mapped.extensions }).toEqual(extensions);
    expect(mapped.message).toBe(message);
    expect(reported).toEqual([]);
  });

  test("an error that GraphQL has wrapped is found inside, however deep", () => {
    const wrapped = new GraphQLError("outer", {
      originalError: new GraphQLError("inner", { originalError: notFound("No such order.") }),
    });
    expect(toGraphQLError(wrapped, () => expect.unreachable())).toMatchObject({
      message: "No such order.",
      extensions: { code: "NOT_FOUND" },
    });
  });

  test.each([
    [withCode("23505", 'duplicate key value violates "users_email"'), "INTERNAL_SERVER_ERROR"],
    [new TypeError("secret is undefined"), "INTERNAL_SERVER_ERROR"],
    ["a thrown text", "INTERNAL_SERVER_ERROR"],
    [undefined, "INTERNAL_SERVER_ERROR"],
    [withCode("57P01", "terminating connection of user orders"), "UNAVAILABLE"],
  ])("nothing of what nobody expected (%s), which is reported", (error, code) => {
    const reported: unknown[] = [];
    const mapped = toGraphQLError(error, (cause) => reported.push(cause));
    expect(mapped.extensions).toMatchObject({ code });
    if (error instanceof Error) expect(JSON.stringify(mapped)).not.toContain(error.message);
    expect(reported).toEqual([error]);
  });

  test.each(["22P02", "22003", "22007", "22008", "22021"])("that a value is malformed: %s", (code) => {
    const mapped = toGraphQLError(withCode(code, 'invalid input syntax for type uuid: "x"'), () =>
      expect.unreachable(),
    );
    expect(mapped.extensions).toEqual({ code: "BAD_USER_INPUT" });
    expect(mapped.message).not.toContain("uuid");
  });
});

describe("what passes", () => {
  const passing = [
    // Conflicts and locks, what ended a session, and what the server has too little of: disk, memory, connections.
    ...["40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "08006", "08P01"],
    ...["53000", "53100", "53200", "53300", "53400", "58000", "58030"],
    ...["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"],
  ].map((code) => withCode(code));
  const messages = [
    "Connection terminated unexpectedly",
    "Query read timeout",
    "Connection terminated due to connection timeout",
    "timeout exceeded when trying to connect",
    "Client has encountered a connection error and is not queryable",
  ].map((message) => new Error(message));
  test.each([...passing, ...messages])("is unavailable and transient: $code $message", (error) => {
    expect(isUnavailable(error)).toBe(true);
    expect(isTransient(error)).toBe(true);
    expect(isTransient(new Error("migration failed", { cause: error }))).toBe(true);
  });

  test("a lock that somebody else holds is transient, and told to callers by itself", () => {
    const error = retryable("IN_PROGRESS", "Wait.", 500);
    expect([isUnavailable(error), isTransient(error)]).toEqual([false, true]);
  });

  test.each([
    withCode("23505"),
    withCode("42P01"),
    withCode("25P02"),
    withCode("ENOENT"),
    retryable("CATALOGUE_BEHIND", "Soon.", 500),
    notFound(),
    new TypeError("undefined is not a function"),
    new PermanentError("never", { cause: withCode("57P01") }),
  ])("is not: %s", (error) => {
    expect(isTransient(error)).toBe(false);
  });

  test("things that are no errors do not pass either", () => {
    for (const thing of [undefined, null, "ECONNREFUSED", { code: "ECONNREFUSED" }])
      expect(isUnavailable(thing)).toBe(false);
  });
});
