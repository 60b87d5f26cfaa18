import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface TestPostgres {
  /** URL of the superuser and of the database "postgres". */
  adminUrl: string;
  /** Stops Postgres and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a throw-away Postgres on a free port of the loopback. It also stops when this process ends, even by SIGKILL.
 * Without fsync it is faster where the disk is slow, and no longer what production does. Rejects with Postgres' output.
 */
export async function startPostgres(options: { fsync?: boolean } = {}): Promise<TestPostgres> {
  const script = fileURLToPath(new URL("postgres-server.ts", import.meta.url));
  // Detached: an interrupt from the keyboard must reach the tests first, which still need their database to end.
  const server = spawn(process.execPath, [script, ...(options.fsync === false ? ["--no-fsync"] : [])], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  });
  const exited = once(server, "exit");
  let errors = "";
  server.stderr.on("data", (chunk: Buffer) => void (errors += chunk.toString()));
  const lines = createInterface({ input: server.stdout });
  const adminUrl = await Promise.race([
    once(lines, "line").then(([line]) => line as string),
    exited.then(() => Promise.reject(new Error(`Postgres did not start:\n${errors}`))),
  ]);
  return {
    adminUrl,
    async stop() {
      server.stdin.end();
      await exited;
    },
  };
}
