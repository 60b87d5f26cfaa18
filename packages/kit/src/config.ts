import type { Static, TObject, TSchema } from "typebox";
import { Value } from "typebox/value";
import { Problem } from "./program.ts";

/** Every problem with the environment at once, each with the variable's name and what it should be. */
export class ConfigError extends Problem {
  override name = "ConfigError";
  problems: string[];
  constructor(problems: string[]) {
    super(
      `the configuration has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
    );
    this.problems = problems;
  }
}

interface Described {
  type?: string;
  description?: string;
  default?: unknown;
  examples?: unknown[];
}

/**
 * Reads variables from the environment by a schema whose properties are the variables' names. Numbers and booleans are
 * converted; an empty string counts as absent. Throws one ConfigError that names all that is missing or wrong.
 */
export function readConfig<Schema extends TObject>(
  schema: Schema,
  env: Record<string, string | undefined>,
): Static<Schema> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  const required = new Set<string>((schema.required as string[] | undefined) ?? []);
  for (const [name, property] of Object.entries(schema.properties) as [string, TSchema & Described][]) {
    const text = env[name];
    if (text === undefined || text === "") {
      if (property.default !== undefined) values[name] = property.default;
      else if (required.has(name)) problems.push(`${name} is not set: ${explain(property)}`);
      continue;
    }
    const value = convert(text, property.type);
    if (Value.Check(property, value)) values[name] = value;
    else problems.push(`${name} is ${isSecret(name) ? "not valid" : `"${text}"`}: ${explain(property)}`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return values as Static<Schema>;
}

function convert(text: string, type: string | undefined): unknown {
  if (type === "integer" || type === "number") return text.trim() === "" ? Number.NaN : Number(text);
  if (type === "boolean")
    return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : text;
  return text;
}

function explain(property: Described): string {
  const example = property.examples?.[0];
  return `${property.description ?? `expected ${property.type}`}${example === undefined ? "" : `, for example ${String(example)}`}`;
}

function isSecret(name: string): boolean {
  return /URL|SECRET|PASSWORD|KEY/.test(name);
}

/** The process's environment; everything else receives what it needs. */
export function processEnvironment(): Record<string, string | undefined> {
  return process.env;
}

/** Sets a variable for a library that reads the environment by itself and cannot be told otherwise. */
export function setLibraryVariable(name: string, value: string): void {
  process.env[name] = value;
}
