import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { tokensRevoked } from "@crowdcrunch/events/users";
import { createLogger } from "@crowdcrunch/kit/logger";
import { postgresEventLog } from "@crowdcrunch/kit/eventlog-postgres";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import { startTcpProxy } from "@crowdcrunch/kit/testing/tcp-proxy";
import { generateKeyPair } from "jose";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { RunningGateway } from "../src/gateway.ts";
import { startSmallShop } from "./small-shop.ts";
import type { SmallShop } from "./small-shop.ts";
import { ask, codeOf, gatewayOf } from "./world.ts";

let shop: SmallShop;
let database: TestDatabase;
let gateway: RunningGateway;
let pool: Pool;
let users: EventLog;

beforeAll(async () => {
  [shop, database] = await Promise.all([startSmallShop(), createDatabase()]);
  pool = new Pool({ connectionString: database.url("users"), max: 2 });
  const log = createLogger({ service: "users", level: "silent" });
  users = postgresEventLog({ pool, url: database.url("users"), service: "users", log });
  await users.ensureTopics([{ topic: "users", partitions: 8 }]);
  gateway = await gatewayOf(shop, database);
});

afterAll(async () => {
  await gateway?.stop();
  await users?.close();
  await pool?.end();
  await shop?.stop();
  await database?.drop();
});

const newId = (): string => crypto.randomUUID();

/** Publishes that a person's tokens, or one session's, are worth nothing from now on. */
async function revoke(data: { userId: string; sessionId?: string }): Promise<void> {
  const event = tokensRevoked.create({ ...data, issuedBefore: new Date().toISOString() }, { sequence: 1 });
  await users.append("users", [{ id: newId(), time: new Date().toISOString(), ...event }]);
}

async function isLetIn(at: { url: string }, token: string): Promise<boolean> {
  const answer = await ask(at, "{ me { id } }", { token });
  if (answer.status === 200) return true;
  expect([answer.status, codeOf(answer), answer.data]).toEqual([401, "UNAUTHENTICATED", undefined]);
  return false;
}

/** Waits until the gateway has read what was published. */
function isSoonRefused(at: { url: string }, token: string): Promise<void> {
  return vi.waitFor(async () => expect(await isLetIn(at, token)).toBe(false), { timeout: 10_000, interval: 20 });
}

describe("a token", () => {
  test("is not needed, and is let in when it is good", async () => {
    expect((await ask(gateway, "{ me { id } }")).status).toBe(200);
    expect(await isLetIn(gateway, await shop.token())).toBe(true);
  });

  const unsigned = (header: object, claims: object) =>
    [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const now = Date.now() / 1_000;
  const claims = {
    sub: "u1",
    sid: "s1",
    roles: ["ADMIN"],
    iss: "crowdcrunch",
    aud: "crowdcrunch",
    iat: now,
    exp: now + 600,
  };

  test.each<[string, () => Promise<string>]>([
    ["that has expired", () => shop.token({ iat: now - 700, exp: now - 100 })],
    ["for somebody else", () => shop.token({ aud: "another" })],
    ["of somebody else", () => shop.token({ iss: "another" })],
    ["that lives too long", () => shop.token({ iat: now - 3_600, exp: now + 36_000 })],
    ["signed by another key", async () => shop.token({}, (await generateKeyPair("ES256")).privateKey)],
    ["signed by nobody", async () => `${unsigned({ alg: "none" }, claims)}.`],
    [
      "signed with the public key as a secret",
      async () => {
        const text = unsigned({ alg: "HS256", kid: "k1" }, claims);
        const signature = createHmac("sha256", await readFile(shop.jwksFile))
          .update(text)
          .digest("base64url");
        return `${text}.${signature}`;
      },
    ],
    ["that brings its own key", async () => `${unsigned({ alg: "ES256", jku: "http://127.0.0.1:1/" }, claims)}.AAAA`],
    ["that is none", () => Promise.resolve("nonsense")],
  ])("%s is refused", async (_, make) => {
    expect(await isLetIn(gateway, await make())).toBe(false);
  });

  test("cannot be checked while the keys cannot be read, which is no reason to sign in again", async () => {
    const keyless = await gatewayOf(shop, database, { JWKS_FILE: "/nowhere/jwks.json" });
    try {
      const answer = await ask(keyless, "{ me { id } }", { token: await shop.token() });
      expect([answer.status, codeOf(answer)]).toEqual([503, "UNAVAILABLE"]);
      expect((await ask(keyless, "{ me { id } }")).status).toBe(200);
    } finally {
      await keyless.stop();
    }
  });
});

describe("a revocation", () => {
  test("of a session denies this session alone", async () => {
    const userId = newId();
    const [here, there] = [newId(), newId()];
    const tokenHere = await shop.token({ sub: userId, sid: here });
    const tokenThere = await shop.token({ sub: userId, sid: there });
    expect(await isLetIn(gateway, tokenHere)).toBe(true);
    await revoke({ userId, sessionId: here });
    await isSoonRefused(gateway, tokenHere);
    expect(await isLetIn(gateway, tokenThere)).toBe(true);
  });

  test("of a person denies all tokens that were issued before, and none that are issued later", async () => {
    const userId = newId();
    const before = await shop.token({ sub: userId, sid: newId() });
    const other = await shop.token({ sub: newId(), sid: newId() });
    await revoke({ userId });
    await isSoonRefused(gateway, before);
    expect(await isLetIn(gateway, await shop.token({ sub: userId, sid: newId() }))).toBe(true);
    expect(await isLetIn(gateway, other)).toBe(true);
  });

  test("is known to a gateway that starts later", async () => {
    const userId = newId();
    const token = await shop.token({ sub: userId, sid: newId() });
    await revoke({ userId });
    const later = await gatewayOf(shop, database);
    try {
      await isSoonRefused(later, token);
    } finally {
      await later.stop();
    }
  });

  test("that was published while the log was away is read when it is back", async () => {
    const direct = new URL(database.url("gateway"));
    const proxy = await startTcpProxy({ host: direct.hostname, port: Number(direct.port) });
    const through = new URL(direct);
    through.port = String(proxy.port);
    const cutOff = await gatewayOf(shop, database, { DATABASE_URL: through.href });
    try {
      const first = { userId: newId(), sessionId: newId() };
      const firstToken = await shop.token({ sub: first.userId, sid: first.sessionId });
      await revoke(first);
      await isSoonRefused(cutOff, firstToken);
      for (let round = 0; round < 3; round++) {
        const next = { userId: newId(), sessionId: newId() };
        const token = await shop.token({ sub: next.userId, sid: next.sessionId });
        proxy.cut();
        await revoke(next);
        await isSoonRefused(cutOff, token);
        expect(await isLetIn(cutOff, firstToken)).toBe(false);
      }
    } finally {
      await cutOff.stop();
      await proxy.close();
    }
  });
});
