import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startShop, stopShop } from "./shop.ts";

/** Far from a shop of the same machine, and from what the system gives to outgoing connections. */
const portOffset = 20_000;

let varDir: string;
beforeEach(() => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-shop-"));
});
afterEach(async () => {
  await stopShop({ varDir });
  rmSync(varDir, { recursive: true });
});

/** Asks the database for one value. */
async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return (rows as unknown[][])[0]?.[0];
  } finally {
    await client.end();
  }
}

test("the database has its roles, waits for the disk, and its data survive a stop and a kill", async () => {
  const options = { varDir, portOffset, processes: [] };
  const shop = await startShop(options);
  expect(await ask(shop.databaseUrl("orders_owner"), "CREATE TABLE kept AS SELECT 42 AS answer")).toBeUndefined();
  expect(await ask(shop.databaseUrl("auditor"), "SELECT answer FROM orders.kept")).toBe(42);
  expect(await ask(shop.databaseUrl("auditor"), "SHOW fsync")).toBe("on");
  await shop.stop();
  expect(statSync(join(varDir, "secrets")).mode & 0o777).toBe(0o700);
  expect(statSync(join(varDir, "secrets/signing-key.json")).mode & 0o777).toBe(0o600);

  const again = await startShop(options);
  expect(again.secrets).toEqual(shop.secrets);
  expect(await ask(again.databaseUrl("auditor"), "SELECT answer FROM orders.kept")).toBe(42);
  again.kill("postgres");
  await vi.waitFor(() => expect(again.restartsOf("postgres")).toBeGreaterThan(0), { timeout: 5_000 });
  await vi.waitFor(
    async () => expect(await ask(again.databaseUrl("auditor"), "SELECT answer FROM orders.kept")).toBe(42),
    { timeout: 15_000, interval: 200 },
  );
});

test("an unknown process is a sentence that names the known ones", async () => {
  await expect(startShop({ varDir, portOffset, processes: ["odrers"] })).rejects.toThrow(
    "No such process: odrers. Known: postgres, users, customers, inventory",
  );
});
