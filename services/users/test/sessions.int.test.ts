import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { tokensRevoked } from "@crowdcrunch/events/users";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld } from "./world.ts";
import type { Person, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.stop());

async function revocationsOf(userId: string) {
  return (await world.emitted(tokensRevoked)).filter((event) => event.key === userId).map((event) => event.data);
}

async function graceHasPassed(person: Person): Promise<void> {
  await world.admin.query("UPDATE sessions SET rotated_at = now() - interval '31 seconds' WHERE id = $1", [
    person.sessionId,
  ]);
}

async function isEnded(cookie: string | undefined): Promise<boolean> {
  const answer = await world.refresh(cookie);
  expect(answer.cookie).toBeUndefined();
  return answer.data.refreshSession.__typename === "SessionEnded";
}

describe("the refresh cookie", () => {
  test("is out of scripts' and other sites' reach, and only goes to the graph", async () => {
    const { setCookie } = await world.ask(`mutation { startGuestSession { __typename } }`);
    const attributes = setCookie?.split("; ").slice(1).sort();
    expect(attributes).toEqual(["HttpOnly", "Max-Age=2592000", "Path=/graphql", "SameSite=Strict", "Secure"]);
  });

  test("travels over plain HTTP where that is switched on", async () => {
    const plain = await createWorld({ COOKIE_SECURE: "false" });
    try {
      const { setCookie } = await plain.ask(`mutation { startGuestSession { __typename } }`);
      expect(setCookie).not.toContain("Secure");
    } finally {
      await plain.stop();
    }
  });

  test("is not set by a query that a page elsewhere can send", async () => {
    const query = encodeURIComponent("mutation { startGuestSession { __typename } }");
    const response = await fetch(`${world.url}/graphql?query=${query}`, {
      headers: { "apollo-require-preflight": "1" },
    });
    expect(response.headers.getSetCookie()).toEqual([]);
    const form = await fetch(`${world.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: JSON.stringify({ query: "mutation { startGuestSession { __typename } }" }),
    });
    expect(form.ok).toBe(false);
    expect(form.headers.getSetCookie()).toEqual([]);
  });
});

describe("a guest's session", () => {
  test("goes on under the same id, without a row", async () => {
    const begun = await world.ask(`mutation { startGuestSession { ... on GuestSession { guestId } } }`);
    const { guestId } = begun.data.startGuestSession;
    const next = await world.refresh(begun.cookie);
    expect(next.data.refreshSession).toMatchObject({ __typename: "GuestSession", guestId });
    expect(decodeJwt(next.data.refreshSession.accessToken)).toMatchObject({ sub: guestId, roles: ["GUEST"] });
    expect(next.cookie).toMatch(new RegExp(`^g\\.${guestId}\\.`));
    const { rows } = await world.admin.query("SELECT FROM users WHERE id = $1", [guestId]);
    expect(rows).toEqual([]);
  });

  test("is never one of an account, whatever the cookie is made to say", async () => {
    const person = await world.signUp();
    const guest = await world.ask(`mutation { startGuestSession { ... on GuestSession { guestId } } }`);
    const { guestId } = guest.data.startGuestSession;
    const [, , secret] = person.cookie.split(".");
    const forged = [
      guest.cookie!.replace(guestId, person.id),
      guest.cookie!.replace(guestId, person.sessionId),
      guest.cookie!.replace(/^g/, "a"),
      `a.${guestId}.${secret}`,
      `g.${person.id}.${secret}`,
      `a.${person.id}.${secret}`,
    ];
    for (const cookie of forged) expect(await isEnded(cookie)).toBe(true);
    expect((await world.refresh(person.cookie)).data.refreshSession.__typename).toBe("SignedIn");
  });
});

describe("an account's session", () => {
  test("gives a new token for each old one", async () => {
    const person = await world.signUp();
    let { cookie } = person as { cookie: string | undefined };
    const seen = new Set([cookie]);
    for (let round = 0; round < 3; round++) {
      const answer = await world.refresh(cookie);
      expect(decodeJwt(answer.data.refreshSession.accessToken)).toMatchObject({
        sub: person.id,
        sid: person.sessionId,
      });
      expect(answer.data.refreshSession.user.email).toBe(person.email);
      cookie = answer.cookie;
      seen.add(cookie);
    }
    expect(seen.size).toBe(4);
    expect(await revocationsOf(person.id)).toEqual([]);
  });

  test("gives two tabs the same successor, at once or within half a minute", async () => {
    const person = await world.signUp();
    const answers = await Promise.all(Array.from({ length: 5 }, () => world.refresh(person.cookie)));
    answers.push(await world.refresh(person.cookie));
    expect(new Set(answers.map((answer) => answer.cookie)).size).toBe(1);
    expect(answers[0]?.cookie).not.toBe(person.cookie);
    expect((await world.refresh(answers[0]?.cookie)).data.refreshSession.__typename).toBe("SignedIn");
  });

  test("ends for the thief and the owner when an old token comes back", async () => {
    const person = await world.signUp();
    const next = await world.refresh(person.cookie);
    await graceHasPassed(person);
    expect(await isEnded(person.cookie)).toBe(true);
    expect(await isEnded(next.cookie)).toBe(true);
    const revocations = await revocationsOf(person.id);
    expect(revocations).toMatchObject([{ userId: person.id, sessionId: person.sessionId }]);
    const issuedMs = decodeJwt(next.data.refreshSession.accessToken).iat! * 1_000;
    expect(issuedMs).toBeLessThan(Date.parse(revocations[0]!.issuedBefore));
  });

  test("ends when a token from two rotations ago comes back, even within half a minute", async () => {
    const person = await world.signUp();
    const second = await world.refresh(person.cookie);
    const third = await world.refresh(second.cookie);
    expect(await isEnded(person.cookie)).toBe(true);
    expect(await isEnded(third.cookie)).toBe(true);
  });

  test("ends after thirty days without use", async () => {
    const person = await world.signUp();
    await world.admin.query("UPDATE sessions SET expires_at = now() WHERE id = $1", [person.sessionId]);
    expect(await isEnded(person.cookie)).toBe(true);
  });

  test.each([undefined, "", "a", `a.${randomUUID()}.secret`, "a.'; DROP TABLE users.secret"])(
    "is not found for the cookie %j",
    async (cookie) => {
      expect(await isEnded(cookie)).toBe(true);
    },
  );

  test("leaves no token behind in the database", async () => {
    const person = await world.signUp();
    const next = await world.refresh(person.cookie);
    const { rows } = await world.admin.query("SELECT s::text AS row FROM sessions s WHERE id = $1", [person.sessionId]);
    for (const cookie of [person.cookie, next.cookie!]) {
      const secret = cookie.split(".")[2]!;
      expect(rows[0].row).not.toContain(secret);
      expect(rows[0].row).not.toContain(Buffer.from(secret).toString("hex"));
    }
  });

  test("is one of fifty at most; the oldest makes way", async () => {
    const person = await world.signUp();
    await world.admin.query(
      `INSERT INTO sessions (id, user_id, token_hash, expires_at)
       SELECT gen_random_uuid(), $1, sha256(n::text::bytea), now() + interval '1 day' FROM generate_series(1, 60) n`,
      [person.id],
    );
    await world.signIn(person.email);
    const { rows } = await world.admin.query("SELECT count(*) FROM sessions WHERE user_id = $1", [person.id]);
    expect(rows).toEqual([{ count: 50 }]);
  });
});

describe("signing out", () => {
  const signOut = `mutation ($everywhere: Boolean!) { signOut(input: { everywhere: $everywhere }) { ... on SignedOut { sessions } } }`;

  test("here ends this session alone", async () => {
    const person = await world.signUp();
    const elsewhere = await world.signIn(person.email);
    const answer = await world.ask(signOut, { everywhere: false }, { token: person.token });
    expect(answer.data.signOut).toEqual({ sessions: 1 });
    expect(answer.setCookie).toMatch(/^crowdcrunch_refresh=; .*Expires=Thu, 01 Jan 1970/);
    expect(await isEnded(person.cookie)).toBe(true);
    expect((await world.refresh(elsewhere.cookie)).data.refreshSession.__typename).toBe("SignedIn");
    expect(await revocationsOf(person.id)).toMatchObject([{ sessionId: person.sessionId }]);
    await world.ask(signOut, { everywhere: false }, { token: person.token });
    expect(await revocationsOf(person.id)).toHaveLength(1);
  });

  test("everywhere ends all of them, and nobody else's", async () => {
    const [person, other] = [await world.signUp(), await world.signUp()];
    const elsewhere = await world.signIn(person.email);
    const answer = await world.ask(signOut, { everywhere: true }, { token: person.token });
    expect(answer.data.signOut).toEqual({ sessions: 2 });
    expect(await isEnded(person.cookie)).toBe(true);
    expect(await isEnded(elsewhere.cookie)).toBe(true);
    expect((await world.refresh(other.cookie)).data.refreshSession.__typename).toBe("SignedIn");
    const [revocation] = await revocationsOf(person.id);
    expect(revocation).not.toHaveProperty("sessionId");
    // Who signs in again is not among those whose tokens are denied.
    const again = decodeJwt((await world.signIn(person.email)).data.signIn.accessToken);
    expect(again.iat! * 1_000).toBeGreaterThanOrEqual(Date.parse(revocation!.issuedBefore));
  });

  test("with the id of somebody else's session ends nothing", async () => {
    const [person, other] = [await world.signUp(), await world.signUp()];
    const token = await world.signToken({ sub: person.id, sid: other.sessionId });
    expect((await world.ask(signOut, { everywhere: false }, { token })).data.signOut).toEqual({ sessions: 0 });
    expect((await world.refresh(other.cookie)).data.refreshSession.__typename).toBe("SignedIn");
  });

  test("as a guest takes the cookie away", async () => {
    const guest = await world.ask(`mutation { startGuestSession { ... on GuestSession { accessToken } } }`);
    const answer = await world.ask(signOut, { everywhere: false }, { token: guest.data.startGuestSession.accessToken });
    expect(answer.data.signOut).toEqual({ sessions: 0 });
    expect(answer.cookie).toBe("");
  });
});

test("keys rotate without a restart, and a broken key file changes nothing", async () => {
  const { signingKeyFile, jwksFile, pair } = world.keys;
  const person = await world.signUp();
  const next = await generateSigningKey();
  const replace = async (file: string, text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  // Published first, then used.
  await replace(jwksFile, JSON.stringify({ keys: [...pair.jwks.keys, ...next.jwks.keys] }));
  await replace(signingKeyFile, (await readFile(signingKeyFile, "utf8")).slice(0, 20));
  await sleep(1_100);
  const before = await world.refresh(person.cookie);
  expect(decodeProtectedHeader(before.data.refreshSession.accessToken).kid).toBe(pair.privateKey.kid);

  await replace(signingKeyFile, JSON.stringify(next.privateKey));
  await sleep(1_100);
  const after = await world.refresh(before.cookie);
  expect(decodeProtectedHeader(after.data.refreshSession.accessToken).kid).toBe(next.privateKey.kid);
  for (const token of [person.token, after.data.refreshSession.accessToken]) {
    expect((await world.ask(`{ me { id } }`, {}, { token })).data.me).toEqual({ id: person.id });
  }
});
