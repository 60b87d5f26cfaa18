/** One line of a log, readable. Services write JSON; what is no JSON (Postgres, a stack trace) stays as it is. */
export interface LogLine {
  /** ISO 8601, where the line has a time of its own. */
  time?: string;
  text: string;
}

/** Fields that every line has and that stand at fixed places, or that are of no use to a reader. */
const placed = new Set(["time", "level", "service", "msg", "pid", "hostname"]);

/** "10:00:00.123 WARN  orders  the message  key=value …"; nested values as JSON, several lines of text below the line. */
export function readableLine(line: string, process_: string): LogLine {
  const record = parsed(line);
  if (!record) {
    const time = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) UTC/.exec(line);
    const shown = time ? line.slice(time[0].length).trimStart() : line;
    return {
      ...(time ? { time: `${time[1]}T${time[2]}Z` } : {}),
      text: `${(time?.[2] ?? "").padEnd(12)}       ${process_.padEnd(11)} ${shown}`,
    };
  }
  const time = String(record["time"]);
  const level = String(record["level"] ?? "info").toUpperCase();
  const rest = Object.entries(record).filter(([key]) => !placed.has(key));
  const inline = rest.filter(([, value]) => !isMultiline(value)).map(([key, value]) => `${key}=${shown(value)}`);
  const below = rest
    .filter(([, value]) => isMultiline(value))
    .map(([key, value]) => `\n    ${key}: ${String(value).replaceAll("\n", "\n    ")}`);
  const service = String(record["service"] ?? process_).padEnd(11);
  return {
    time,
    text: `${[time.slice(11, 23).padEnd(12), level.padEnd(5), service, record["msg"] ?? "", ...inline].join(" ")}${below.join("")}`,
  };
}

function parsed(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function isMultiline(value: unknown): boolean {
  return typeof value === "string" && value.includes("\n");
}

function shown(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /[\s="]/.test(value) || value === "" ? JSON.stringify(value) : value;
}

/** Lines of several logs as one: by time, each line without a time staying behind the one before it. */
export function mergedByTime(logs: LogLine[][]): LogLine[] {
  return logs
    .flatMap((lines) => {
      let time = "";
      return lines.map((line) => ({ line, time: (time = line.time ?? time) }));
    })
    .sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0))
    .map(({ line }) => line);
}
