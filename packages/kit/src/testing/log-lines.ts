import { createLogger } from "../logger.ts";
import type { Logger } from "../logger.ts";

export interface LogLine {
  msg: string;
  level: string;
  [field: string]: unknown;
}

/** A log whose lines can be looked at. */
export function recordLog(): { lines: LogLine[]; log: Logger } {
  const lines: LogLine[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, log: createLogger({ service: "test", level: "info", destination }) };
}
