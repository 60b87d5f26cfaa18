import Type from "typebox";
import { describe, expect, test } from "vitest";
import { ConfigError, readConfig } from "./config.ts";
import { serviceVariables } from "./variables.ts";

const schema = Type.Object({
  ...serviceVariables,
  ATTEMPTS: Type.Integer({ minimum: 1, maximum: 9, default: 3, description: "how often to try" }),
  RATE: Type.Optional(Type.Number({ description: "a share of one" })),
  SANDBOX: Type.Boolean({ default: false, description: "whether money is play money" }),
  PROVIDER_API_KEY: Type.String({ minLength: 10, description: "the key of the provider" }),
  WEBHOOK_SECRET: Type.String({ pattern: "^whsec_", description: "the secret of callbacks" }),
});

const good = {
  PORT: "4004",
  METRICS_PORT: "4104",
  DATABASE_URL: "postgres://orders:hunter2@127.0.0.1/crowdcrunch",
  OWNER_DATABASE_URL: "postgresql://orders_owner:hunter2@127.0.0.1/crowdcrunch",
  JWKS_FILE: "var/secrets/jwks.json",
  PROVIDER_API_KEY: "key-0123456789",
  WEBHOOK_SECRET: "whsec_1",
};

function problemsOf(env: Record<string, string | undefined>): ConfigError {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  return expect.unreachable("this configuration has problems");
}

describe("a configuration", () => {
  test("is converted by its schema, with defaults for what is absent or empty", () => {
    const config = readConfig(schema, { ...good, HOST: "", RATE: "0.5", SANDBOX: "1", UNKNOWN: "x" });
    expect(config).toMatchObject({
      ...good,
      ...{ PORT: 4004, METRICS_PORT: 4104, HOST: "127.0.0.1", LOG_LEVEL: "info", SHUTDOWN_GRACE_MS: 30_000 },
      ...{ DATABASE_CONNECTIONS: 6, ATTEMPTS: 3, RATE: 0.5, SANDBOX: true },
    });
    expect(config).not.toHaveProperty("UNKNOWN");
    expect(readConfig(schema, { ...good, SANDBOX: "false" }).SANDBOX).toBe(false);
    expect(readConfig(schema, good)).not.toHaveProperty("RATE");
  });

  test("with problems names all of them at once, what each should be, and an example", () => {
    const { problems, message } = problemsOf({
      ...good,
      ...{ PORT: "http", METRICS_PORT: undefined, JWKS_FILE: "", LOG_LEVEL: "loud", ATTEMPTS: "10" },
    });
    expect(problems).toEqual([
      'PORT is "http": the port to serve on, for example 4004',
      "METRICS_PORT is not set: the port of /livez, /readyz and /metrics, for example 4104",
      'LOG_LEVEL is "loud": the least level to log: debug, info, warn or error',
      "JWKS_FILE is not set: the file with the public keys that sign access tokens, for example var/secrets/jwks.json",
      'ATTEMPTS is "10": how often to try',
    ]);
    expect(message).toMatch(/^the configuration has 5 problems:/);
    for (const problem of problems) expect(message).toContain(problem);
  });

  test.each([
    ["PORT", "65536"],
    ["PORT", "4004.5"],
    ["PORT", " "],
    ["PORT", "NaN"],
    ["ATTEMPTS", "Infinity"],
    ["RATE", "half"],
    ["SANDBOX", "yes"],
  ])("does not take %s=%j", (name, value) => {
    expect(problemsOf({ ...good, [name]: value }).problems).toEqual([expect.stringContaining(`${name} is "${value}"`)]);
  });

  test.each(["DATABASE_URL", "OWNER_DATABASE_URL", "WEBHOOK_SECRET", "PROVIDER_API_KEY"])(
    "with a bad %s does not print it",
    (name) => {
      const { message } = problemsOf({ ...good, [name]: "hunter2" });
      expect(message).toContain(`${name} is not valid`);
      expect(message).not.toContain("hunter2");
    },
  );

  test("is asked in the singular where one thing is wrong", () => {
    expect(problemsOf({ ...good, PORT: "x" }).message).toMatch(/^the configuration has a problem:\n {2}PORT/);
  });
});
