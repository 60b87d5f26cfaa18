import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { testPassword } from "@crowdcrunch/kit/testing/postgres";
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import { serviceNames } from "@crowdcrunch/shop/parts";
import { Client } from "pg";
import { afterEach, beforeEach, expect, inject, test } from "vitest";
import { prepareDatabase } from "./database.ts";
import type { ShopDatabase } from "./database.ts";

let name: string;
let said: string[];
const adminUrl = inject("postgresAdminUrl");

async function ask(sql: string, role?: string): Promise<unknown[]> {
  const url = new URL(adminUrl);
  if (role !== undefined) {
    url.pathname = `/${name}`;
    [url.username, url.password] = [role, testPassword(role)];
  }
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

beforeEach(() => {
  [name, said] = [`setup_${randomBytes(6).toString("hex")}`, []];
});
afterEach(() => ask(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));

/** Roles belong to the server that all tests share: they keep their passwords. */
const prepare = (options: Partial<ShopDatabase> = {}) =>
  prepareDatabase({
    adminUrl,
    name,
    services: serviceNames,
    passwordOf: testPassword,
    passwordHint: "look into the Secret.",
    kafka: false,
    pauseMs: 50,
    say: (line) => void said.push(line),
    ...options,
  });

test("it waits for a Postgres that is not there yet, makes all, and may run again", async () => {
  const { hostname, port } = new URL(adminUrl);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  try {
    await proxy.set({ refuse: true });
    const url = new URL(adminUrl);
    url.port = String(proxy.port);
    let done = false;
    const preparing = prepare({ adminUrl: url.href }).then(() => (done = true));
    await expect.poll(() => said.length).toBeGreaterThan(0);
    await sleep(200);
    expect(done).toBe(false);
    // The reason is told once, and not at each look.
    expect(said.filter((line) => line.includes("ECONNREFUSED")).length).toBeLessThanOrEqual(1);
    expect(said[0]).toMatch(/^Waiting for Postgres at 127\.0\.0\.1:\d+: /);
    await proxy.set({});
    await preparing;
  } finally {
    await proxy.close();
  }
  await prepare();
  expect(await ask("SELECT current_user AS me", "orders")).toEqual([{ me: "orders" }]);
  expect(
    await ask(
      "SELECT nspname FROM pg_namespace WHERE nspname = ANY('{orders,provider,eventlog}') ORDER BY 1",
      "auditor",
    ),
  ).toEqual([{ nspname: "eventlog" }, { nspname: "orders" }, { nspname: "provider" }]);
});

test("a refused password is a sentence with the way out, and does not repeat it", async () => {
  const url = new URL(adminUrl);
  url.password = "another-one";
  const refused = prepare({ adminUrl: url.href });
  await expect(refused).rejects.toThrow(/refuses the password of postgres: look into the Secret\.$/);
  await expect(refused).rejects.not.toThrow("another-one");
});

test("a shop on Kafka closes the embedded log, and does not come back to it by mistake", async () => {
  await prepare({ kafka: true });
  await prepare({ kafka: true });
  await expect(prepare()).rejects.toThrow(/This shop went over to Kafka at .* externalKafka\.brokers\.$/);
});
