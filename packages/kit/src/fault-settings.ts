import { faultPoints } from "./fault-points.ts";
import type { FaultAction, FaultPoint } from "./fault-points.ts";

/** One fault: where, what, and how often. */
export interface FaultSetting {
  point: FaultPoint;
  action: FaultAction;
  /** Only where the detail of what passes has this text, or matches this /regex/. */
  match?: string;
  /** The share of passes that fire, above 0 and at most 1. */
  rate: number;
  /** How often it fires; then it is inert. For ever where it is not given. */
  times?: number;
  /** The first so many passes do not count. */
  afterPasses?: number;
  /** How long `delay` and `late` wait, in ms. */
  delayMs?: number;
  /** Of the random numbers behind `rate`: the same seed fires at the same passes. */
  seed: number;
}

/** A setting as people give it: names and numbers are not checked yet, null is as good as nothing. */
export interface FaultInput {
  point: string;
  action: string;
  match?: string | null;
  rate?: number | null;
  times?: number | null;
  afterPasses?: number | null;
  delayMs?: number | null;
  seed?: number | null;
}

const numbers: Record<
  "rate" | "times" | "afterPasses" | "delayMs" | "seed",
  { check(n: number): boolean; is: string }
> = {
  rate: { check: (n) => n > 0 && n <= 1, is: "a number above 0, at most 1" },
  times: { check: (n) => Number.isSafeInteger(n) && n >= 1, is: "a whole number from 1" },
  afterPasses: { check: (n) => Number.isSafeInteger(n) && n >= 0, is: "a whole number from 0" },
  delayMs: { check: (n) => Number.isSafeInteger(n) && n >= 1 && n <= 600_000, is: "a whole number of 1 to 600000 ms" },
  seed: { check: (n) => Number.isSafeInteger(n), is: "a whole number" },
};
const waits = new Set(["delay", "late"]);

/** Checks settings. What is wrong with any of them is in `problems`, one sentence each, and then there are none. */
export function checkFaults(inputs: FaultInput[]): { settings: FaultSetting[]; problems: string[] } {
  const problems = inputs.flatMap((input) =>
    problemsOf(input).map((text) => `${input.point}:${input.action}: ${text}`),
  );
  if (problems.length > 0) return { settings: [], problems };
  const settings = inputs.map((input) => {
    const given = Object.entries(input).filter(([, value]) => value !== null && value !== undefined);
    return { rate: 1, seed: 1, ...Object.fromEntries(given) } as unknown as FaultSetting;
  });
  return { settings, problems };
}

function problemsOf(input: FaultInput): string[] {
  const problems: string[] = [];
  const point = Object.hasOwn(faultPoints, input.point) ? faultPoints[input.point as FaultPoint] : undefined;
  if (!point) problems.push(`there is no such point; there are ${Object.keys(faultPoints).join(", ")}`);
  else if (!point.actions.includes(input.action as FaultAction))
    problems.push(`there is no such action at this point; there are ${point.actions.join(", ")}`);
  for (const [name, { check, is }] of Object.entries(numbers)) {
    const value = input[name as keyof typeof numbers];
    if (value !== null && value !== undefined && !check(value)) problems.push(`${name} is ${value}, not ${is}`);
  }
  if (waits.has(input.action) && (input.delayMs === null || input.delayMs === undefined))
    problems.push("delayMs is missing: how long it waits, in ms");
  if (typeof input.match === "string") {
    try {
      matcherOf(input.match);
    } catch (error) {
      problems.push(`match is no regular expression: ${(error as Error).message}`);
    }
  }
  return problems;
}

/** Tells whether a detail is meant: by a text that it has, or a /regex/ that it matches. */
export function matcherOf(match: string | undefined): (detail: string) => boolean {
  if (match === undefined) return () => true;
  const regex = /^\/(.+)\/([a-z]*)$/.exec(match);
  if (!regex) return (detail) => detail.includes(match);
  const pattern = new RegExp(regex[1]!, regex[2]!.replaceAll(/[gy]/g, ""));
  return (detail) => pattern.test(detail);
}

/**
 * Reads "<point>:<action>[:key=value,…];…". In a value %2C stands for a comma, %3B for a semicolon and %25 for the per
 * cent sign. All that is wrong is in `problems`.
 */
export function parseFaults(text: string): { settings: FaultSetting[]; problems: string[] } {
  const malformed: string[] = [];
  const inputs: FaultInput[] = [];
  for (const part of text.split(";").map((piece) => piece.trim())) {
    if (part === "") continue;
    const [, point, action, options] = /^([^:]+):([^:]+)(?::(.*))?$/s.exec(part) ?? [];
    if (point === undefined || action === undefined) {
      malformed.push(`"${part}" is not <point>:<action>[:key=value,…]`);
      continue;
    }
    const input: Record<string, unknown> = { point, action };
    for (const option of options ? options.split(",") : []) {
      const [, key, value] = /^([^=]+)=(.*)$/s.exec(option.trim()) ?? [];
      const decoded = value === undefined ? undefined : decode(value);
      if (key === undefined || decoded === undefined)
        malformed.push(`${point}:${action}: "${option}" is not key=value`);
      else if (key === "match") input[key] = decoded;
      else if (!Object.hasOwn(numbers, key))
        malformed.push(`${point}:${action}: there is no ${key}; there are match, ${Object.keys(numbers).join(", ")}`);
      else input[key] = decoded.trim() === "" ? Number.NaN : Number(decoded);
    }
    inputs.push(input as unknown as FaultInput);
  }
  const { settings, problems } = checkFaults(inputs);
  const all = [...malformed, ...problems];
  return { settings: all.length > 0 ? [] : settings, problems: all };
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
