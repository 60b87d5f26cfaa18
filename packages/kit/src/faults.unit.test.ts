import { describe, expect, test } from "vitest";
import { ConfigError } from "./config.ts";
import { Problem, isTransient, isUnavailable, toGraphQLError } from "./errors.ts";
import { parseFaults } from "./fault-settings.ts";
import { FaultError, createFaults, inertFaults, openFaults } from "./faults.ts";
import type { FaultInput, Faults } from "./faults.ts";
import { createLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";

function world() {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const log = createLogger({ service: "orders", level: "info", destination });
  const metrics = createMetrics({ service: "orders", processMetrics: false });
  return { lines, log, metrics, faults: createFaults({ log, metrics }) };
}

/** Passes a point so often; true where the fault `error` fired. */
async function passes(faults: Faults, times: number, detail = ""): Promise<boolean[]> {
  const fired: boolean[] = [];
  for (let pass = 0; pass < times; pass++) {
    fired.push(
      await faults.at("consumer.in-handler", detail).then(
        () => false,
        (error: unknown) => error instanceof FaultError,
      ),
    );
  }
  return fired;
}

const failing: FaultInput = { point: "consumer.in-handler", action: "error" };
const countOf = (fired: boolean[]) => fired.filter(Boolean).length;

describe("FAULTS", () => {
  test("names point, action and options; several are separated by semicolons", () => {
    const text =
      "transaction.after-commit:kill:match=orders.order-placed.v1,rate=0.25,times=3,afterPasses=10,seed=7; relay.before-append:delay:delayMs=500;";
    expect(parseFaults(text)).toEqual({
      settings: [
        {
          ...{ point: "transaction.after-commit", action: "kill", match: "orders.order-placed.v1" },
          ...{ rate: 0.25, times: 3, afterPasses: 10, seed: 7 },
        },
        { point: "relay.before-append", action: "delay", rate: 1, delayMs: 500, seed: 1 },
      ],
      problems: [],
    });
    expect(parseFaults("")).toEqual({ settings: [], problems: [] });
  });

  test("a match may have colons and equals signs, and commas and semicolons where they are encoded", () => {
    const { settings } = parseFaults("provider.after-call:error:match=/^POST .*:(AUTHORIZE|VOID):\\d{1%2C2}%3B?a=b/i");
    expect(settings[0]?.match).toBe("/^POST .*:(AUTHORIZE|VOID):\\d{1,2};?a=b/i");
  });

  test("all that is wrong is named at once", () => {
    const text = [
      "nonsense",
      "relay.before:kill",
      "relay.before-append:cut",
      "graphql.request:delay",
      "graphql.request:error:rate=2,times=0,afterPasses=1.5,seed=x,colour=red,lonely",
      "graphql.request:error:match=/(/",
    ].join(";");
    const { settings, problems } = parseFaults(text);
    expect(settings).toEqual([]);
    expect(problems).toEqual([
      '"nonsense" is not <point>:<action>[:key=value,…]',
      "graphql.request:error: there is no colour; there are match, rate, times, afterPasses, delayMs, seed",
      'graphql.request:error: "lonely" is not key=value',
      expect.stringMatching(/^relay\.before:kill: there is no such point; there are transaction\.before-commit, /),
      "relay.before-append:cut: there is no such action at this point; there are kill, exit, delay, error",
      "graphql.request:delay: delayMs is missing: how long it waits, in ms",
      "graphql.request:error: rate is 2, not a number above 0, at most 1",
      "graphql.request:error: times is 0, not a whole number from 1",
      "graphql.request:error: afterPasses is 1.5, not a whole number from 0",
      "graphql.request:error: seed is NaN, not a whole number",
      expect.stringMatching(/^graphql\.request:error: match is no regular expression: /),
    ]);
  });
});

describe("a fault", () => {
  test("fires at its own point and nowhere else", async () => {
    const { faults } = world();
    faults.set([failing]);
    await expect(faults.at("consumer.in-handler")).rejects.toThrow("the connection was lost on purpose");
    await expect(faults.at("consumer.after-commit")).resolves.toBeUndefined();
    expect(faults.list()).toMatchObject([{ point: "consumer.in-handler", passes: 1, fired: 1 }]);
  });

  test("fires the given number of times, after the given number of passes, then is inert", async () => {
    const { faults } = world();
    faults.set([{ ...failing, afterPasses: 2, times: 3 }]);
    expect(await passes(faults, 8)).toEqual([false, false, true, true, true, false, false, false]);
    expect(faults.list()).toMatchObject([{ passes: 8, fired: 3 }]);
  });

  test("fires at its rate, at the same passes for the same seed and at others for another", async () => {
    const run = async (seed: number) => {
      const { faults } = world();
      faults.set([{ ...failing, rate: 0.1, seed }]);
      return passes(faults, 2_000);
    };
    const [first, again, other] = [await run(7), await run(7), await run(8)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    for (const fired of [first, other]) {
      // 200 expected; three standard deviations are 40.
      expect(countOf(fired)).toBeGreaterThan(160);
      expect(countOf(fired)).toBeLessThan(240);
    }
  });

  test("matches a text or a regular expression; what it does not match is no pass", async () => {
    const { faults } = world();
    faults.set([{ ...failing, match: "order-placed" }]);
    expect(await passes(faults, 1, "orders.order-placed.v1")).toEqual([true]);
    expect(await passes(faults, 1, "orders.order-shipped.v1")).toEqual([false]);
    expect(faults.list()).toMatchObject([{ passes: 1 }]);
    faults.set([{ ...failing, match: "/^ORDERS\\.order-(placed|shipped)/gi" }]);
    expect(await passes(faults, 2, "orders.order-shipped.v1")).toEqual([true, true]);
    expect(await passes(faults, 1, "stock.order-placed.v1")).toEqual([false]);
  });

  test("delays, and then lets pass", async () => {
    const { faults } = world();
    faults.set([{ point: "graphql.request", action: "delay", delayMs: 60 }]);
    const startedMs = performance.now();
    await expect(faults.at("graphql.request")).resolves.toBeUndefined();
    expect(performance.now() - startedMs).toBeGreaterThan(50);
  });

  test("tells its place what only that can do", async () => {
    const { faults } = world();
    faults.set([{ point: "provider-api.callback", action: "late", delayMs: 5 }]);
    expect(await faults.at("provider-api.callback")).toEqual({ action: "late", delayMs: 5 });
    faults.set([{ point: "transaction.before-commit", action: "cut", times: 1 }]);
    expect(await faults.at("transaction.before-commit")).toEqual({ action: "cut", delayMs: 0 });
    expect(await faults.at("transaction.before-commit")).toBeUndefined();
  });

  test("is in the log and in the metrics before it does anything", async () => {
    const { faults, lines, metrics } = world();
    faults.set([failing]);
    await faults.at("consumer.in-handler", () => "orders.order-placed.v1").catch(() => {});
    expect(lines).toMatchObject([
      { msg: "fault fired", point: "consumer.in-handler", action: "error", detail: "orders.order-placed.v1" },
    ]);
    expect(await metrics.registry.metrics()).toMatch(
      /crowdcrunch_faults_fired_total\{(?=.*point="consumer\.in-handler")(?=.*action="error").*\} 1/,
    );
  });

  test("looks like a lost connection to all who tell errors apart", () => {
    const error = new FaultError("consumer.in-handler");
    expect([isUnavailable(error), isTransient(error)]).toEqual([true, true]);
    expect(toGraphQLError(error, () => {}).extensions).toMatchObject({ code: "UNAVAILABLE", retryAfterMs: 1_000 });
  });
});

describe("setting faults", () => {
  test("replaces those before; none clears them, and then nothing is looked at", async () => {
    const { faults } = world();
    expect(faults.on).toBe(false);
    faults.set([failing, { point: "graphql.request", action: "error" }]);
    expect(faults.on).toBe(true);
    faults.set([{ point: "graphql.request", action: "error", match: null, times: null }]);
    expect(faults.list()).toEqual([
      { point: "graphql.request", action: "error", rate: 1, seed: 1, passes: 0, fired: 0 },
    ]);
    expect(await passes(faults, 1)).toEqual([false]);
    faults.set([]);
    expect([faults.on, faults.list()]).toEqual([false, []]);
  });

  test("refuses all where one is wrong, and keeps what was set", () => {
    const { faults } = world();
    faults.set([failing]);
    const wrong = [failing, { point: "graphql.request", action: "burn" }];
    expect(() => faults.set(wrong)).toThrow(/graphql\.request:burn: there is no such action at this point/);
    expect(faults.list()).toMatchObject([{ point: "consumer.in-handler" }]);
  });
});

describe("where faults are off", () => {
  const { log, metrics } = world();
  const open = (variables: Partial<Parameters<typeof openFaults>[0]>) =>
    openFaults({ FAULT_INJECTION: false, FAULTS: "", NODE_ENV: "", ...variables }, { log, metrics });

  test("nothing fires, nothing can be set, nothing is listed", async () => {
    const faults = open({});
    expect(faults).toBe(inertFaults);
    expect([faults.allowed, faults.on]).toEqual([false, false]);
    const detail = () => expect.unreachable("a detail that nobody asked for");
    await expect(faults.at("transaction.before-commit", detail)).resolves.toBeUndefined();
    for (const act of [() => faults.set([]), () => faults.list()]) {
      expect(act).toThrow(Problem);
      expect(act).toThrow(/FAULT_INJECTION=true/);
    }
  });

  test("FAULTS without FAULT_INJECTION, or either in production, ends the start with what to do", () => {
    const refused = (variables: Parameters<typeof open>[0], message: RegExp) => {
      expect(() => open(variables)).toThrow(ConfigError);
      expect(() => open(variables)).toThrow(message);
    };
    refused({ FAULTS: "graphql.request:error" }, /FAULTS is set and FAULT_INJECTION is not/);
    refused({ FAULT_INJECTION: true, NODE_ENV: "production" }, /not for production; remove FAULT_INJECTION/);
    refused(
      { FAULT_INJECTION: true, FAULTS: "a:b;graphql.request:burn" },
      /2 problems:\n\s+FAULTS: a:b: .*\n\s+FAULTS: graph/,
    );
  });

  test("they are on with FAULT_INJECTION, and FAULTS is set from the start on", () => {
    expect(open({ FAULT_INJECTION: true, FAULTS: "graphql.request:error:times=2" }).list()).toMatchObject([
      { times: 2 },
    ]);
    expect(open({ FAULT_INJECTION: true, NODE_ENV: "development" })).toMatchObject({ allowed: true, on: false });
  });
});
