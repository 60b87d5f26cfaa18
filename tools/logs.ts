/** `make logs [SERVICE=orders] [LINES=100] [FOLLOW=1]`: the logs of all processes or of one, readable, in time order. */
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem, main, shopPlace } from "./environment.ts";
import { mergedByTime, readableLine } from "./log-lines.ts";

const followEveryMs = 200;

/** Reads what is appended to a file, from `offset` on, as whole lines. */
function appendedLines(file: string, offset: number): () => string[] {
  let decoder = new StringDecoder("utf8");
  let unfinished = "";
  return () => {
    const size = existsSync(file) ? statSync(file).size : 0;
    if (size < offset) {
      // Put aside and begun anew.
      offset = 0;
      decoder = new StringDecoder("utf8");
      unfinished = "";
    }
    if (size === offset) return [];
    const bytes = Buffer.alloc(size - offset);
    const descriptor = openSync(file, "r");
    const read = readSync(descriptor, bytes, 0, bytes.length, offset);
    closeSync(descriptor);
    offset += read;
    const lines = (unfinished + decoder.write(bytes.subarray(0, read))).split("\n");
    unfinished = lines.pop()!;
    return lines;
  };
}

async function follow(names: string[], fileOf: (name: string) => string, offsets: Map<string, number>): Promise<never> {
  const readers = names.map((name) => ({ name, next: appendedLines(fileOf(name), offsets.get(name)!) }));
  for (;;) {
    await sleep(followEveryMs);
    const logs = readers.map(({ name, next }) => next().map((line) => readableLine(line, name)));
    for (const { text } of mergedByTime(logs)) console.log(text);
  }
}

await main(async () => {
  const { SERVICE, FOLLOW, LINES } = process.env;
  const folder = join(shopPlace().varDir, "log");
  const known = existsSync(folder) ? readdirSync(folder).flatMap((file) => /^(.+)\.log$/.exec(file)?.[1] ?? []) : [];
  if (known.length === 0) throw new Problem("There are no logs yet: make up starts the shop.");
  if (SERVICE && !known.includes(SERVICE)) throw new Problem(`No log of "${SERVICE}". There are: ${known.join(", ")}.`);

  const names = SERVICE ? [SERVICE] : known;
  const fileOf = (name: string) => join(folder, `${name}.log`);
  const count = Number(LINES) || 100;
  const offsets = new Map<string, number>();
  const logs = names.map((name) => {
    const text = readFileSync(fileOf(name), "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    offsets.set(name, Buffer.byteLength(whole));
    return whole
      .split("\n")
      .slice(0, -1)
      .slice(-count)
      .map((line) => readableLine(line, name));
  });
  for (const { text } of mergedByTime(logs).slice(-count)) console.log(text);
  const isFollowing = FOLLOW ? FOLLOW !== "0" : process.stdout.isTTY;
  if (isFollowing) await follow(names, fileOf, offsets);
});
