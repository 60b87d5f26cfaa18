/** From a file's bytes to CSV records, each with the line on which it begins. */
import { createReadStream } from "node:fs";

export interface CsvRecord {
  /** The line on which it begins; the first is 1. */
  line: number;
  /** Its bytes as latin1: one character each, so that a wrong encoding breaks its own row and no other. */
  text: string;
}

/** A quoted field may span lines, but a quote that nobody closed must not swallow the rest of the file. */
const linesAtMost = 8;

/** The records of a file in batches; empty lines are left out. A record that never closes its quote is its first line. */
export async function* recordsOf(file: string): AsyncGenerator<CsvRecord[]> {
  const lines: string[] = [];
  let line = 1;
  let rest = "";
  for await (const chunk of createReadStream(file, { encoding: "latin1", highWaterMark: 1 << 18 })) {
    const parts = (rest + (chunk as string)).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
    const { records, used } = takeRecords(lines, line, false);
    lines.splice(0, used);
    line += used;
    yield records;
  }
  if (rest) lines.push(rest);
  yield takeRecords(lines, line, true).records;
}

/** Joins lines to records. Lines at the end that may go on are left for the next call, unless these are the last. */
function takeRecords(lines: string[], firstLine: number, last: boolean): { records: CsvRecord[]; used: number } {
  const records: CsvRecord[] = [];
  let used = 0;
  while (used < lines.length) {
    if (!last && lines.length - used < linesAtMost) break;
    let text = withoutReturn(lines[used]!);
    let count = 1;
    if (hasOpenQuote(text)) {
      let joined = text;
      for (let more = 1; more < linesAtMost && used + more < lines.length; more++) {
        joined += `\n${withoutReturn(lines[used + more]!)}`;
        if (hasOpenQuote(joined)) continue;
        text = joined;
        count = more + 1;
        break;
      }
    }
    if (text !== "") records.push({ line: firstLine + used, text });
    used += count;
  }
  return { records, used };
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

function hasOpenQuote(text: string): boolean {
  if (!text.includes('"')) return false;
  return (text.split('"').length - 1) % 2 === 1;
}
