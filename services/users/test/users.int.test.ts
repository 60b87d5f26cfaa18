import { randomUUID } from "node:crypto";
import { customerErased } from "@crowdcrunch/events/customers";
import { emailVerificationRequested, guestClaimed, tokensRevoked, userRegistered } from "@crowdcrunch/events/users";
import { openDatabase } from "@crowdcrunch/kit/database";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import { signOrderLink } from "@crowdcrunch/kit/order-link";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRoles } from "../src/commands-roles.ts";
import { createWorld, orderLinkSecret, password, signInMutation, signUpMutation } from "./world.ts";
import type { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ ATTEMPTS_PER_ADDRESS: "6" });
});
afterAll(() => world.stop());

const startGuest = `mutation { startGuestSession { ... on GuestSession { accessToken guestId expiresAt } } }`;
const me = `{ me { id email roles emailVerified sessions { id current } } }`;

/** A user's events, which must be numbered without a gap. */
async function eventsOf(userId: string) {
  const events = (await world.emitted()).filter((event) => event.key === userId);
  expect(events.map((event) => event.sequence)).toEqual(events.map((_, index) => index + 1));
  return events;
}

describe("signing up", () => {
  test("makes an account, signs in, and tells the others", async () => {
    const email = `Grace.${randomUUID()}@Example.com`;
    const answer = await world.ask(signUpMutation, { input: { email, password, name: " Grace " } });
    const { accessToken, user } = answer.data.signUp;
    expect(user).toEqual({ id: user.id, email: email.toLowerCase(), roles: ["SHOPPER"], emailVerified: false });
    expect(decodeJwt(accessToken)).toMatchObject({
      sub: user.id,
      roles: ["SHOPPER"],
      iss: "crowdcrunch",
      aud: "crowdcrunch",
    });

    const seen = await world.ask(me, {}, { token: accessToken });
    expect(seen.data.me).toMatchObject({
      id: user.id,
      sessions: [{ id: decodeJwt(accessToken)["sid"], current: true }],
    });

    const events = await eventsOf(user.id);
    expect(events.map((event) => event.type)).toEqual([userRegistered.type, emailVerificationRequested.type]);
    expect(events[0]?.data).toEqual({ userId: user.id, email: email.toLowerCase(), name: "Grace" });
    const { rows } = await world.admin.query("SELECT password_hash FROM users WHERE id = $1", [user.id]);
    expect(rows[0].password_hash).toMatch(/^\$argon2id\$/);
  });

  test("for an address that has an account does nothing and signs nobody in", async () => {
    const person = await world.signUp();
    const answer = await world.ask(signUpMutation, {
      input: { email: ` ${person.email.toUpperCase()}`, password: "another password" },
    });
    expect(answer.data.signUp).toMatchObject({ __typename: "SignUpRefused" });
    expect(answer.cookie).toBeUndefined();
    expect((await world.signIn(person.email, "another password")).data.signIn.__typename).toBe("WrongCredentials");
    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("SignedIn");
  });

  test("twice at once makes one account", async () => {
    const input = { email: `${randomUUID()}@example.com`, password };
    const answers = await Promise.all([1, 2, 3].map(() => world.ask(signUpMutation, { input })));
    expect(answers.map((answer) => answer.data.signUp.__typename).sort()).toEqual([
      "SignUpRefused",
      "SignUpRefused",
      "SignedIn",
    ]);
  });

  test.each([
    [{ email: "nobody" }, "email"],
    [{ password: "too short" }, "password"],
    [{ password: "x".repeat(201) }, "password"],
    [{ name: "x".repeat(101) }, "name"],
  ])("refuses %j", async (input, field) => {
    const valid = { email: `${randomUUID()}@example.com`, password };
    const answer = await world.ask(signUpMutation, { input: { ...valid, ...input } });
    expect(answer.data.signUp).toMatchObject({ __typename: "InvalidInput", field });
    expect((await world.signIn(valid.email)).data.signIn.__typename).toBe("WrongCredentials");
  });
});

describe("signing in", () => {
  test("answers alike, after the same work, for a wrong password and for somebody unknown (Vendure CVE-2026-25050)", async () => {
    const person = await world.signUp();
    const hashed = async () => {
      const metrics = await (await fetch(`${world.healthUrl}/metrics`)).text();
      return Number(/^crowdcrunch_passwords_hashed_total.* (\d+)$/m.exec(metrics)?.[1]);
    };
    // Hashing is what takes the time, and what would tell.
    async function tried(email: string): Promise<{ work: number; answer: unknown }> {
      const before = await hashed();
      const { data, errors, cookie } = await world.signIn(email, "not the password");
      return { work: (await hashed()) - before, answer: { data, errors, cookie } };
    }
    const [known, unknown] = [await tried(person.email), await tried(`${randomUUID()}@example.com`)];
    expect(unknown).toEqual(known);
    expect(unknown).toMatchObject({ work: 1, answer: { data: { signIn: { __typename: "WrongCredentials" } } } });
  });

  test("stops after ten wrong passwords for an address, known or not, however many come at once", async () => {
    const person = await world.signUp();
    for (const email of [person.email, `${randomUUID()}@example.com`]) {
      const answers = await Promise.all(Array.from({ length: 14 }, () => world.signIn(email, "not the password")));
      const names = answers.map((answer) => answer.data.signIn.__typename).sort();
      expect(names).toEqual([...Array(4).fill("TooManyAttempts"), ...Array(10).fill("WrongCredentials")]);
      // The right one is no exception, or it could be guessed on.
      const { signIn } = (await world.signIn(email)).data;
      expect(signIn.__typename).toBe("TooManyAttempts");
      expect(signIn.retryAfterSeconds).toBeGreaterThan(880);
      expect(signIn.retryAfterSeconds).toBeLessThanOrEqual(900);
    }
    // The window slides: when the oldest attempt leaves it, one more is allowed.
    await world.admin.query(
      "UPDATE attempts SET times[1] = now() - interval '16 minutes' WHERE action = 'sign-in by account'",
    );
    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("SignedIn");
  });

  test("forgets wrong passwords after the right one", async () => {
    const person = await world.signUp();
    for (let round = 0; round < 2; round++) {
      for (let wrong = 0; wrong < 9; wrong++) await world.signIn(person.email, "not the password");
      expect((await world.signIn(person.email)).data.signIn.__typename).toBe("SignedIn");
    }
  });

  test("stops a client that tries many accounts, and nobody else", async () => {
    const person = await world.signUp();
    const clientAddress = "2001:db8:1:2::1";
    const names: string[] = [];
    for (let count = 0; count < 7; count++) {
      const answer = await world.signIn(`${randomUUID()}@example.com`, password, {
        clientAddress: `2001:db8:1:2::${count}`,
      });
      names.push(answer.data.signIn.__typename);
    }
    expect(names).toEqual([...Array(6).fill("WrongCredentials"), "TooManyAttempts"]);
    expect((await world.signIn(person.email, password, { clientAddress })).data.signIn.__typename).toBe(
      "TooManyAttempts",
    );
    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("SignedIn");
  });

  test("in many aliases of one request counts each", async () => {
    const fields = Array.from({ length: 12 }, (_, index) => `a${index}: signIn(input: $input) { __typename }`);
    const input = { email: `${randomUUID()}@example.com`, password };
    const { data } = await world.ask(`mutation ($input: SignInInput!) { ${fields.join("\n")} }`, { input });
    expect(
      Object.values(data).filter((answer) => (answer as { __typename: string }).__typename === "WrongCredentials"),
    ).toHaveLength(6);
  });
});

describe("a guest", () => {
  test("becomes an account and everything follows", async () => {
    const guest = (await world.ask(startGuest)).data.startGuestSession;
    expect(decodeJwt(guest.accessToken)).toMatchObject({ sub: guest.guestId, roles: ["GUEST"] });
    expect(guest.guestId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect((await world.ask(me, {}, { token: guest.accessToken })).data).toEqual({ me: null });

    const person = await world.signUp({}, { token: guest.accessToken });
    const events = await eventsOf(person.id);
    expect(events.map((event) => event.type)).toEqual([
      userRegistered.type,
      emailVerificationRequested.type,
      guestClaimed.type,
    ]);
    expect(events[2]?.data).toEqual({ userId: person.id, guestId: guest.guestId });
  });

  test("signs in and everything follows", async () => {
    const person = await world.signUp();
    const guest = (await world.ask(startGuest)).data.startGuestSession;
    await world.signIn(person.email, password, { token: guest.accessToken });
    expect((await eventsOf(person.id)).at(-1)).toMatchObject({
      type: guestClaimed.type,
      data: { guestId: guest.guestId },
    });
  });

  test("claims nothing when the sign-in fails", async () => {
    const person = await world.signUp();
    const guest = (await world.ask(startGuest)).data.startGuestSession;
    await world.signIn(person.email, "not the password", { token: guest.accessToken });
    expect((await eventsOf(person.id)).map((event) => event.type)).not.toContain(guestClaimed.type);
  });
});

describe("a link to an order", () => {
  const open = `mutation ($input: OpenOrderLinkInput!) { openOrderLink(input: $input) {
    __typename ... on OrderLinkOpened { accessToken orderId expiresAt } ... on Problem { message } } }`;
  const orderId = randomUUID();

  async function openFor(customerId: string): Promise<string> {
    const token = signOrderLink(orderLinkSecret, { orderId, customerId, expiresAt: new Date(Date.now() + 60_000) });
    const answer = await world.ask(open, { input: { token } });
    expect(answer.data.openOrderLink).toMatchObject({ __typename: "OrderLinkOpened", orderId });
    expect(answer.cookie).toBeUndefined();
    return answer.data.openOrderLink.accessToken;
  }

  test("is worth a guest's token for that order", async () => {
    const customerId = randomUUID();
    const claims = decodeJwt(await openFor(customerId));
    expect(claims).toMatchObject({ sub: customerId, roles: ["GUEST"], order: orderId });
    expect(claims.exp! - claims.iat!).toBeLessThanOrEqual(600);
  });

  test("gives none of the account's rights", async () => {
    const person = await world.signUp();
    const token = await openFor(person.id);
    expect((await world.ask(me, {}, { token })).data).toEqual({ me: null });
    const out = await world.ask(
      `mutation { signOut(input: { everywhere: true }) { ... on SignedOut { sessions } } }`,
      {},
      { token },
    );
    expect(out.data.signOut).toEqual({ sessions: 0 });
    expect((await world.refresh(person.cookie)).data.refreshSession.__typename).toBe("SignedIn");
    const verify = await world.ask(`mutation { requestEmailVerification { __typename } }`, {}, { token });
    expect(verify.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    // Whoever opens the link and has an account must not take over the other's.
    const thief = await world.signUp({}, { token });
    expect((await eventsOf(thief.id)).map((event) => event.type)).not.toContain(guestClaimed.type);
  });

  test.each([
    [
      "expired",
      () =>
        signOrderLink(orderLinkSecret, { orderId, customerId: randomUUID(), expiresAt: new Date(Date.now() - 1_000) }),
    ],
    [
      "of another secret",
      () =>
        signOrderLink("somebody's secret", {
          orderId,
          customerId: randomUUID(),
          expiresAt: new Date(Date.now() + 60_000),
        }),
    ],
    ["made up", () => "abc.def"],
  ])("%s is refused", async (_, token) => {
    const answer = await world.ask(open, { input: { token: token() } });
    expect(answer.data.openOrderLink.__typename).toBe("LinkNotValid");
  });
});

describe("roles", () => {
  test("of the first admin are given by whoever has the database", async () => {
    const person = await world.signUp();
    const log = createLogger({ service: "test", level: "silent" });
    const metrics = createMetrics({ service: "test", processMetrics: false });
    const db = openDatabase({ url: world.databaseUrl, applicationName: "test", newId: randomUUID, log, metrics });
    try {
      const roles = createRoles({ db });
      expect(await roles.grantAdmin(` ${person.email.toUpperCase()}`)).toMatchObject({ id: person.id });
      expect(await roles.grantAdmin(person.email)).toMatchObject({ roles: ["SHOPPER", "STAFF", "ADMIN"] });
      expect(await roles.grantAdmin(`${randomUUID()}@example.com`)).toBeUndefined();
    } finally {
      await db.close();
    }
    const { accessToken } = (await world.refresh(person.cookie)).data.refreshSession;
    expect(decodeJwt(accessToken)["roles"]).toEqual(["SHOPPER", "STAFF", "ADMIN"]);
    expect(
      (await eventsOf(person.id)).map((event) => event.type).filter((type) => type === tokensRevoked.type),
    ).toHaveLength(1);
  });

  const setRoles = `mutation ($input: SetRolesInput!) { setRoles(input: $input) {
    __typename ... on RolesSet { user { id roles } } ... on NotPossible { state } ... on InvalidInput { field } } }`;

  test("are set by an admin, and tokens with the former ones are revoked", async () => {
    const [person, adminId] = [await world.signUp(), randomUUID()];
    const token = await world.signToken({ sub: adminId, roles: ["SHOPPER", "ADMIN"] });
    const answer = await world.ask(setRoles, { input: { userId: person.id, roles: ["STAFF"] } }, { token });
    expect(answer.data.setRoles).toEqual({
      __typename: "RolesSet",
      user: { id: person.id, roles: ["SHOPPER", "STAFF"] },
    });
    const revocation = (await eventsOf(person.id)).at(-1);
    expect(revocation).toMatchObject({ type: tokensRevoked.type, data: { userId: person.id } });

    const { accessToken } = (await world.refresh(person.cookie)).data.refreshSession;
    expect(decodeJwt(accessToken)["roles"]).toEqual(["SHOPPER", "STAFF"]);
    const { issuedBefore } = revocation!.data as { issuedBefore: string };
    expect(decodeJwt(accessToken).iat! * 1_000).toBeGreaterThanOrEqual(Date.parse(issuedBefore));
    expect(decodeJwt(person.token).iat! * 1_000).toBeLessThan(Date.parse(issuedBefore));

    await world.ask(setRoles, { input: { userId: person.id, roles: ["SHOPPER", "STAFF"] } }, { token });
    expect(await eventsOf(person.id)).toHaveLength(3);
  });

  test("are not for others to set, nor for an admin to lose by himself", async () => {
    const person = await world.signUp();
    const input = { userId: person.id, roles: ["STAFF"] };
    for (const roles of [["GUEST"], ["SHOPPER"], ["SHOPPER", "STAFF"]] as const) {
      const token = await world.signToken({ sub: person.id, roles: [...roles] });
      const answer = await world.ask(setRoles, { input }, { token });
      expect(answer.errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    }
    const own = await world.signToken({ sub: person.id, roles: ["ADMIN"] });
    expect((await world.ask(setRoles, { input }, { token: own })).data.setRoles).toMatchObject({
      __typename: "NotPossible",
      state: "OWN_ROLE",
    });
    const admin = await world.signToken({ roles: ["ADMIN"] });
    const missing = { userId: randomUUID(), roles: ["STAFF"] };
    expect((await world.ask(setRoles, { input: missing }, { token: admin })).data.setRoles.__typename).toBe("NotFound");
    for (const [bad, field] of [
      [{ ...input, roles: [] }, "roles"],
      [{ ...input, userId: "1" }, "userId"],
    ] as const) {
      expect((await world.ask(setRoles, { input: bad }, { token: admin })).data.setRoles).toMatchObject({
        __typename: "InvalidInput",
        field,
      });
    }
    expect((await eventsOf(person.id)).map((event) => event.type)).not.toContain(tokensRevoked.type);
  });
});

test("staff list and search accounts; % and _ mean themselves", async () => {
  const mark = randomUUID().slice(0, 8);
  for (const name of ["a", "b", "c"]) await world.signUp({ email: `${mark}-${name}@example.com` });
  const token = await world.signToken({ roles: ["STAFF"] });
  const search = `query ($first: Int!, $after: String, $q: String) { users(first: $first, after: $after, emailStartsWith: $q) {
    nodes { email } pageInfo { hasNextPage endCursor } } }`;
  const first = (await world.ask(search, { first: 2, q: mark.toUpperCase() }, { token })).data.users;
  expect(first.nodes.map((user: { email: string }) => user.email)).toEqual([
    `${mark}-c@example.com`,
    `${mark}-b@example.com`,
  ]);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const second = (await world.ask(search, { first: 2, after: first.pageInfo.endCursor, q: mark }, { token })).data
    .users;
  expect(second).toMatchObject({ nodes: [{ email: `${mark}-a@example.com` }], pageInfo: { hasNextPage: false } });
  expect((await world.ask(search, { first: 2, q: `${mark}_` }, { token })).data.users.nodes).toEqual([]);
  for (const bad of [{ first: 0 }, { first: 101 }, { first: 1, after: "x" }]) {
    expect((await world.ask(search, bad, { token })).errors?.[0]?.extensions.code).toBe("BAD_USER_INPUT");
  }
});

test("who was forgotten has no credentials, no session and no token left, once", async () => {
  const person = await world.signUp();
  const [guest, at] = [randomUUID(), new Date().toISOString()];
  const [record] = await world.deliver(
    customerErased.create({ customerId: person.id, at }, { sequence: 1 }),
    customerErased.create({ customerId: guest, at }, { sequence: 1 }),
  );
  await world.deliver(
    ...Array.from({ length: 10 }, () => record!),
    customerErased.create({ customerId: person.id, at }, { sequence: 2 }),
  );

  expect((await world.ask(signInMutation, { input: { email: person.email, password } })).data.signIn.__typename).toBe(
    "WrongCredentials",
  );
  expect((await world.refresh(person.cookie)).data.refreshSession.__typename).toBe("SessionEnded");
  const events = await eventsOf(person.id);
  expect(events.filter((event) => event.type === tokensRevoked.type)).toHaveLength(1);
  const { rows } = await world.admin.query(
    "SELECT row_to_json(u)::text || coalesce((SELECT string_agg(l::text, '') FROM link_tokens l WHERE user_id = u.id), '') AS kept FROM users u WHERE id = $1",
    [person.id],
  );
  expect(rows[0].kept).not.toContain(person.email);
  expect(rows[0].kept).not.toContain("argon2id");
  // The address is free again.
  expect((await world.signUp({ email: person.email })).id).not.toBe(person.id);
});
