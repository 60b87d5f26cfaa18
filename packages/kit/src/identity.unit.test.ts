import { createHmac } from "node:crypto";
import { rename, rm, utimes, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fastify } from "fastify";
import { SignJWT, exportJWK, generateKeyPair, importJWK } from "jose";
import type { JWK } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serveSubgraph } from "./graphql.ts";
import { createTokenVerifier } from "./identity.ts";
import { createLogger } from "./logger.ts";
import { generateSigningKey, signAccessToken } from "./signing-keys.ts";
import { createTestKeys } from "./testing/access-tokens.ts";
import type { TestKeys } from "./testing/access-tokens.ts";

let keys: TestKeys;
let url: string;
const log = createLogger({ service: "orders", level: "silent" });
const app = fastify();

beforeAll(async () => {
  keys = await createTestKeys();
  await serveSubgraph(app, {
    sdl: `directive @access(roles: [String!]!, owner: String) on FIELD_DEFINITION | OBJECT
      type Query { me: String @access(roles: [PUBLIC]) }`,
    resolvers: {
      Query: { me: (_: unknown, __: unknown, { viewer }: { viewer: { sub: string } | null }) => viewer?.sub },
    },
    tokens: createTokenVerifier({ jwksFile: keys.jwksFile, log }),
    log,
  });
  url = await app.listen({ port: 0 });
});
afterAll(async () => {
  await app.close();
  await keys.remove();
});

/** The answer of a subgraph that is asked past the gateway. */
async function ask(token: string): Promise<{ status: number; body: any }> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: "{ me }" }),
  });
  return { status: response.status, body: await response.json() };
}

const nowSeconds = () => Math.floor(Date.now() / 1_000);
const good = () => ({
  sub: "u1",
  sid: "s1",
  roles: ["ADMIN"],
  iss: "crowdcrunch",
  aud: "crowdcrunch",
  iat: nowSeconds(),
  exp: nowSeconds() + 600,
});
const encoded = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
const kid = () => keys.pair.privateKey.kid;
async function signed(claims: object, header: object = {}): Promise<string> {
  return new SignJWT({ ...good(), ...claims })
    .setProtectedHeader({ alg: "ES256", kid: kid()!, ...header })
    .sign(await importJWK(keys.pair.privateKey as JWK, "ES256"));
}

describe("a subgraph refuses with 401 a token", () => {
  test.each<[string, () => Promise<string>]>([
    ["with alg none", async () => `${encoded({ alg: "none" })}.${encoded(good())}.`],
    [
      "with alg none and a signature of another token",
      async () => `${encoded({ alg: "none" })}.${encoded(good())}.${(await signed({})).split(".")[2]}`,
    ],
    [
      "signed by HS256 with the public key as the secret",
      async () => {
        const text = `${encoded({ alg: "HS256", kid: kid() })}.${encoded(good())}`;
        const secret = JSON.stringify(keys.pair.jwks.keys[0]);
        return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
      },
    ],
    ["for another audience", () => signed({ aud: "another" })],
    ["of another issuer", () => signed({ iss: "another" })],
    ["that has expired", () => signed({ iat: nowSeconds() - 700, exp: nowSeconds() - 100 })],
    ["without an end", () => signed({ exp: undefined })],
    ["that lives longer than ten minutes", () => signed({ iat: nowSeconds() - 3_600, exp: nowSeconds() + 3_600 })],
    ["that lives a second longer than ten minutes", () => signed({ exp: nowSeconds() + 602, iat: nowSeconds() + 1 })],
    ["that ends later than clocks can explain", () => signed({ iat: nowSeconds() + 660, exp: nowSeconds() + 1_260 })],
    ["whose time of issue is no number", () => signed({ iat: "now" })],
    [
      "whose claims were changed",
      async () => {
        const [header, , signature] = (await signed({})).split(".");
        return `${header}.${encoded({ ...good(), sub: "u2" })}.${signature}`;
      },
    ],
    ["whose header says with jku where its key is", () => bringsItsKey("jku", "http://127.0.0.1:1/jwks.json")],
    ["whose header says with x5u where its key is", () => bringsItsKey("x5u", "http://127.0.0.1:1/key.pem")],
    ["that has its key in its header", () => bringsItsKey("jwk")],
    [
      "of an unknown key",
      async () => signAccessToken((await generateSigningKey()).privateKey, claims()).then(({ token }) => token),
    ],
  ])("%s", async (_, make) => {
    const { status, body } = await ask(await make());
    expect([status, body.errors?.[0]?.extensions.code, body.data]).toEqual([401, "UNAUTHENTICATED", undefined]);
  });

  test("and lets a good one in", async () => {
    expect(await ask(await signed({}))).toMatchObject({ status: 200, body: { data: { me: "u1" } } });
  });

  test.each([-300, 300, 600])("also one of a clock that is %i s ahead of this one", async (seconds) => {
    const token = await signed({ iat: nowSeconds() + seconds, exp: nowSeconds() + seconds + 600 });
    expect(await ask(token)).toMatchObject({ status: 200, body: { data: { me: "u1" } } });
  });
});

/** A token of a stranger's key, under the id of the shop's. */
async function bringsItsKey(header: "jku" | "x5u" | "jwk", at?: string): Promise<string> {
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const value = at ?? (await exportJWK(publicKey));
  return new SignJWT(good()).setProtectedHeader({ alg: "ES256", kid: kid()!, [header]: value }).sign(privateKey);
}

function claims() {
  return { sub: "u1", sid: "s1", roles: ["SHOPPER" as const], issuedAt: new Date() };
}

describe("the key file", () => {
  const recheckedMs = 1_100;

  async function world() {
    const own = await createTestKeys();
    const warnings: unknown[] = [];
    const noting = { ...log, warn: (...all: unknown[]) => void warnings.push(all) } as typeof log;
    const verifier = createTokenVerifier({ jwksFile: own.jwksFile, log: noting });
    const isLetIn = (token: string) =>
      verifier.verify(`Bearer ${token}`).then(
        () => true,
        () => false,
      );
    return { own, warnings, isLetIn };
  }

  test.each<[string, (file: string) => Promise<void>]>([
    ["is missing", (file) => rm(file)],
    ["is half written", (file) => writeFile(file, '{ "keys": [ { "kty": "EC", "crv": "P-2')],
    ["is empty", (file) => writeFile(file, "")],
    ["holds no key", (file) => writeFile(file, '{ "keys": [] }')],
    ["holds something else", (file) => writeFile(file, '{ "keys": [ { "kid": "x" } ] }')],
  ])("%s: what was read before stays in force, and it is said", async (_, spoil) => {
    const { own, warnings, isLetIn } = await world();
    try {
      const known = await own.signToken();
      expect(await isLetIn(known)).toBe(true);
      await spoil(own.jwksFile);
      await sleep(recheckedMs);
      expect(await isLetIn(known)).toBe(true);
      expect(await isLetIn(await own.signToken())).toBe(true);
      expect(warnings).toHaveLength(1);
      // It is mended: the key of the mended file counts.
      const next = await generateSigningKey();
      await writeFile(`${own.jwksFile}.new`, JSON.stringify(next.jwks));
      await rename(`${own.jwksFile}.new`, own.jwksFile);
      await sleep(recheckedMs);
      expect(await isLetIn((await signAccessToken(next.privateKey, claims())).token)).toBe(true);
      expect(await isLetIn(known)).toBe(false);
    } finally {
      await own.remove();
    }
  });

  test("that is replaced with the old time of change is read all the same", async () => {
    const { own, isLetIn } = await world();
    try {
      const past = new Date(Date.now() - 3_600_000);
      await utimes(own.jwksFile, past, past);
      expect(await isLetIn(await own.signToken())).toBe(true);
      const next = await generateSigningKey();
      await writeFile(`${own.jwksFile}.new`, JSON.stringify(next.jwks));
      await utimes(`${own.jwksFile}.new`, past, past);
      await rename(`${own.jwksFile}.new`, own.jwksFile);
      await sleep(recheckedMs);
      expect(await isLetIn((await signAccessToken(next.privateKey, claims())).token)).toBe(true);
    } finally {
      await own.remove();
    }
  });

  test("is not read for each token of an unknown key", async () => {
    const { own, warnings, isLetIn } = await world();
    try {
      expect(await isLetIn(await own.signToken())).toBe(true);
      const stranger = (await generateSigningKey()).privateKey;
      // Each attempt to read it now is a warning.
      await rm(own.jwksFile);
      await sleep(recheckedMs);
      const tokens = await Promise.all(
        Array.from(
          { length: 300 },
          async (_, at) => (await signAccessToken({ ...stranger, kid: `unknown-${at}` }, claims())).token,
        ),
      );
      const startedMs = performance.now();
      for (const token of tokens) expect(await isLetIn(token)).toBe(false);
      expect(warnings.length).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - startedMs) / 1_000));
    } finally {
      await own.remove();
    }
  });
});
