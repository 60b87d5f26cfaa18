import { GraphQLError, GraphQLScalarType, Kind } from "graphql";

const isoMoment = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function parseMoment(value: unknown): Date {
  if (typeof value === "string" && isoMoment.test(value)) {
    const moment = new Date(value);
    if (!Number.isNaN(moment.getTime())) return moment;
  }
  throw new GraphQLError("A moment is written as ISO 8601 with a zone, for example 2026-03-01T12:00:00Z.", {
    extensions: { code: "BAD_USER_INPUT" },
  });
}

/** Moments: a Date inside, ISO 8601 in UTC outside. */
export const DateTime = new GraphQLScalarType<Date, string>({
  name: "DateTime",
  serialize: (value) => (value instanceof Date ? value : new Date(String(value))).toISOString(),
  parseValue: parseMoment,
  parseLiteral: (node) => parseMoment(node.kind === Kind.STRING ? node.value : undefined),
});

function safeInteger(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new GraphQLError("Money is a whole number of minor units (pence, cents) within the safe integers.", {
    extensions: { code: "BAD_USER_INPUT" },
  });
}

/** Sums of money in minor units: safe integers; `Int` would end at 21 million pounds. */
export const MinorUnits = new GraphQLScalarType<number, number>({
  name: "MinorUnits",
  serialize: safeInteger,
  parseValue: safeInteger,
  parseLiteral: (node) => safeInteger(node.kind === Kind.INT ? Number(node.value) : undefined),
});

function currencyCode(value: unknown): string {
  if (typeof value === "string" && /^[A-Z]{3}$/.test(value)) return value;
  throw new GraphQLError("A currency is an ISO 4217 code in capitals, for example GBP.", {
    extensions: { code: "BAD_USER_INPUT" },
  });
}

/** ISO 4217 codes. That the shop sells in the currency is for the service to check. */
export const CurrencyCode = new GraphQLScalarType<string, string>({
  name: "CurrencyCode",
  serialize: currencyCode,
  parseValue: currencyCode,
  parseLiteral: (node) => currencyCode(node.kind === Kind.STRING ? node.value : undefined),
});
