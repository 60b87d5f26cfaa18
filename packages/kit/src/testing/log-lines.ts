import { createLogger } from "../logger.ts";
import type { Logger } from "../logger.ts";

/** A log whose lines can be looked at. */
export function recordLog(): { lines: { msg: string; level: string }[]; log: Logger } {
  const lines: { msg: string; level: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, log: createLogger({ service: "test", level: "info", destination }) };
}
