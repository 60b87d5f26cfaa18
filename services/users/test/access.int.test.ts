import { createHmac, randomUUID } from "node:crypto";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";
import { SignJWT, decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld } from "./world.ts";
import type { Person, World } from "./world.ts";

let world: World;
let person: Person;
beforeAll(async () => {
  world = await createWorld();
  person = await world.signUp();
});
afterAll(() => world.stop());

const entity = `query ($id: ID!) { _entities(representations: [{ __typename: "User", id: $id }]) { ... on User { id email sessions { id } } } }`;

async function codeOf(query: string, token: string | undefined): Promise<string | undefined> {
  return (await world.ask(query, { id: person.id }, { token })).errors?.[0]?.extensions.code;
}

describe("what needs a token", () => {
  const queries = [
    `{ me { id } }`,
    `{ users(first: 1) { nodes { email } } }`,
    `mutation { signOut { __typename } }`,
    `mutation { requestEmailVerification { __typename } }`,
    `mutation { setRoles(input: { userId: "x", roles: [ADMIN] }) { __typename } }`,
    `{ usersIncidents(first: 1) { nodes { id } } }`,
    `{ usersParked(first: 1) { total } }`,
    `mutation { usersReplayParked { handled } }`,
    `mutation { usersResolveIncident(id: "x", resolution: "x") { id } }`,
    entity.replace("query ($id: ID!)", "").replace("$id", `"${randomUUID()}"`),
  ];

  test.each(queries)("%s is refused without one", async (query) => {
    expect(await codeOf(query, undefined)).toBe("UNAUTHENTICATED");
  });

  test.each(queries)("%s is refused with one that is expired or forged", async (query) => {
    const payload = { ...decodeJwt(person.token), roles: ["SHOPPER", "STAFF", "ADMIN"] };
    const [header, , signature] = person.token.split(".") as [string, string, string];
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { kid } = world.keys.pair.privateKey;
    const publicKey = world.keys.pair.jwks.keys[0]!;
    const byPublicKey = `${encode({ alg: "HS256", kid })}.${encode(payload)}`;
    const signedAs = (claims: Record<string, unknown>, more: Record<string, unknown> = {}) =>
      new SignJWT({ ...payload, ...claims })
        .setProtectedHeader({ alg: "ES256", kid: kid!, ...more })
        .sign(world.keys.pair.privateKey);
    const stranger = await generateSigningKey();
    const tokens = {
      expired: await world.signToken({ sub: person.id, roles: ["ADMIN"], expiresInSeconds: -60 }),
      "changed payload": `${header}.${encode(payload)}.${signature}`,
      "alg none": `${encode({ alg: "none" })}.${encode(payload)}.`,
      "alg none with a signature": `${encode({ alg: "none", kid })}.${encode(payload)}.${signature}`,
      "HS256 by the public key": `${byPublicKey}.${createHmac("sha256", JSON.stringify(publicKey)).update(byPublicKey).digest("base64url")}`,
      "another audience": await signedAs({ aud: "somebody else" }),
      "another issuer": await signedAs({ iss: "somebody else" }),
      "longer than ten minutes": await signedAs({ iat: payload.iat! - 3_600, exp: payload.iat! + 3_600 }),
      "without an end": await signedAs({ exp: undefined }),
      "a key of its own": await new SignJWT(payload)
        .setProtectedHeader({
          alg: "ES256",
          kid: stranger.privateKey.kid!,
          jwk: publicKey,
          jku: "http://127.0.0.1/jwks.json",
        })
        .sign(stranger.privateKey),
      "a key of its own under our id": await new SignJWT(payload)
        .setProtectedHeader({ alg: "ES256", kid: kid! })
        .sign(stranger.privateKey),
      nonsense: "abc",
    };
    const codes: Record<string, string | undefined> = {};
    for (const [name, token] of Object.entries(tokens)) codes[name] = await codeOf(query, token);
    expect(codes).toEqual(Object.fromEntries(Object.keys(tokens).map((name) => [name, "UNAUTHENTICATED"])));
  });
});

describe("a user", () => {
  test("is seen by himself and by staff", async () => {
    const expected = { id: person.id, email: person.email, sessions: [{ id: person.sessionId }] };
    expect((await world.ask(entity, { id: person.id }, { token: person.token })).data._entities).toEqual([expected]);
    for (const role of ["STAFF", "ADMIN"] as const) {
      const token = await world.signToken({ roles: [role] });
      expect((await world.ask(entity, { id: person.id }, { token })).data._entities).toEqual([expected]);
    }
  });

  test("is to a stranger as if he did not exist", async () => {
    const { token } = await world.signUp();
    const [existing, missing] = await Promise.all(
      [person.id, randomUUID()].map((id) => world.ask(entity, { id }, { token })),
    );
    expect(existing!.data).toEqual({ _entities: [null] });
    expect(missing!.data).toEqual(existing!.data);
    expect(missing!.errors).toEqual(existing!.errors);
  });

  test("is not seen by a guest, nor by who has a link to one of his orders", async () => {
    for (const options of [{}, { order: randomUUID() }, { order: person.id }]) {
      const token = await world.signToken({ sub: person.id, roles: ["GUEST"], ...options });
      expect((await world.ask(entity, { id: person.id }, { token })).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    }
  });

  test.each([
    "{ users(first: 1) { nodes { id } } }",
    "{ usersParked(first: 1) { total } }",
    "mutation { usersReplayParked { handled } }",
  ])("who is no staff may not ask %s", async (query) => {
    expect(await codeOf(query, person.token)).toBe("FORBIDDEN");
    expect(await codeOf(query, await world.signToken({ roles: ["GUEST"] }))).toBe("FORBIDDEN");
    expect(await codeOf(query, await world.signToken({ roles: ["STAFF"] }))).toBeUndefined();
  });
});

test("users of a list come each with the sessions that are theirs", async () => {
  const people = await Promise.all(Array.from({ length: 5 }, () => world.signUp()));
  const token = await world.signToken({ roles: ["STAFF"] });
  const { data, errors } = await world.ask(
    `{ users(first: 5) { nodes { id sessions { id current } } } }`,
    {},
    { token },
  );
  expect(errors).toBeUndefined();
  expect(data.users.nodes.map((user: { id: string }) => user.id).sort()).toEqual(people.map(({ id }) => id).sort());
  for (const { id, sessionId } of people) {
    const listed = data.users.nodes.find((user: { id: string }) => user.id === id);
    expect(listed.sessions).toEqual([{ id: sessionId, current: false }]);
  }
});
