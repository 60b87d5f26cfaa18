/** Runs kubectl, helm, pnpm and the like as child processes. */
import { spawn } from "node:child_process";

/** A program that ended badly; the message ends with what it said last. */
export class CommandFailure extends Error {
  override name = "CommandFailure";
  /** All that it wrote, on both streams. */
  output: string;
  constructor(command: string, how: string, output: string) {
    super(`${command} ${how}${output ? `: ${lastWords(output)}` : ""}`);
    this.output = output;
  }
}

export interface CommandOptions {
  /** What the program reads. */
  input?: string | undefined;
  /** After how long it is killed, in ms. Default 60 s. */
  timeoutMs?: number | undefined;
  /** Ends it early. */
  signal?: AbortSignal | undefined;
  /** Told each line as it is written, on either stream. */
  onLine?: ((line: string) => void) | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Where it runs; by default where this program does. */
  cwd?: string | undefined;
}

const shownArguments = 6;
const shownLines = 4;

/** The end of what a program said, in one line. */
function lastWords(output: string): string {
  return output.trim().split("\n").slice(-shownLines).join(" · ");
}

/** Runs a program and resolves to what it writes to stdout. Throws CommandFailure, or the error of a missing program. */
export async function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, timeoutMs = 60_000, signal, onLine, env = process.env, cwd } = options;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env, cwd, ...(signal ? { signal } : {}) });
  const command = [program, ...args.slice(0, shownArguments), ...(args.length > shownArguments ? ["…"] : [])].join(" ");
  const [out, all]: [string[], string[]] = [[], []];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    let rest = "";
    stream.on("data", (text: string) => {
      if (stream === child.stdout) out.push(text);
      all.push(text);
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      if (onLine) for (const line of lines) onLine(line);
    });
  }
  // A program that does not read what it is given has its reasons, which its exit code tells.
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  let tooLate = false;
  const timer = setTimeout(() => {
    tooLate = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  try {
    const [code, killedBy] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (...how) => resolve(how));
    });
    if (tooLate) throw new CommandFailure(command, `did not end within ${timeoutMs / 1_000} s`, all.join(""));
    if (code !== 0) throw new CommandFailure(command, `ended with ${killedBy ?? code}`, all.join(""));
    return out.join("");
  } finally {
    clearTimeout(timer);
  }
}
