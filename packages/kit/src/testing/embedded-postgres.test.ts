import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { expect, test, vi } from "vitest";

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

test("Postgres does not outlive a process that was killed", async () => {
  const program = `
    const { startPostgres } = await import(${JSON.stringify(new URL("embedded-postgres.ts", import.meta.url).href)});
    console.log((await startPostgres({ fsync: false })).adminUrl);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(new URL(line.toString().trim()).port);
  expect(await listens(port)).toBe(true);
  child.kill("SIGKILL");
  await vi.waitFor(async () => expect(await listens(port)).toBe(false), { timeout: 10_000, interval: 50 });
});
