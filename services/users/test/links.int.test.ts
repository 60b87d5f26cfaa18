import { randomUUID } from "node:crypto";
import { emailVerificationRequested, passwordResetRequested, tokensRevoked } from "@crowdcrunch/events/users";
import { until } from "@crowdcrunch/kit/testing/service";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld, password } from "./world.ts";
import type { Person, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ ATTEMPTS_PER_ACCOUNT: "4" });
});
afterAll(() => world.stop());

const another = "another fine password";

function requestReset(email: string, clientAddress?: string) {
  const mutation = `mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) {
    __typename ... on Problem { message } ... on MailOnItsWay { message } } }`;
  return world.ask(mutation, { input: { email } }, clientAddress === undefined ? {} : { clientAddress });
}

async function reset(token: string, secret = another): Promise<{ __typename: string; email?: string; field?: string }> {
  const mutation = `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) {
    __typename ... on PasswordReset { email } ... on InvalidInput { field } } }`;
  return (await world.ask(mutation, { input: { token, password: secret } })).data.resetPassword;
}

async function verify(token: string): Promise<{ __typename: string; email?: string }> {
  const mutation = `mutation ($input: VerifyEmailInput!) { verifyEmail(input: $input) {
    __typename ... on EmailVerified { email } } }`;
  return (await world.ask(mutation, { input: { token } })).data.verifyEmail;
}

async function noResetsLeft(): Promise<void> {
  await until(
    async () => (await world.admin.query("SELECT FROM reset_requests")).rowCount === 0,
    "the end of the reset requests",
  );
}

/** The tokens of the mails that were asked for, the oldest first. */
async function tokensOf(person: Person, contract: typeof passwordResetRequested | typeof emailVerificationRequested) {
  await noResetsLeft();
  const events = await world.emitted(contract as typeof passwordResetRequested);
  return events.filter((event) => event.key === person.id).map((event) => event.data.linkToken);
}

async function resetTokenOf(person: Person): Promise<string> {
  await requestReset(person.email);
  return (await tokensOf(person, passwordResetRequested)).at(-1)!;
}

describe("resetting a password", () => {
  test("answers alike whether or not there is an account, and only then sends a mail (Saleor CVE-2026-39851)", async () => {
    const person = await world.signUp();
    const sent = (await world.emitted(passwordResetRequested)).length;
    const known = await requestReset(person.email);
    const unknown = await requestReset(`${randomUUID()}@example.com`);
    expect(unknown.data).toEqual(known.data);
    expect(known.data.requestPasswordReset.__typename).toBe("MailOnItsWay");
    await noResetsLeft();
    const mails = await world.emitted(passwordResetRequested);
    expect(mails).toHaveLength(sent + 1);
    const { data } = mails.find((event) => event.key === person.id)!;
    expect(data.email).toBe(person.email);
    const minutes = (Date.parse(data.expiresAt) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(29);
    expect(minutes).toBeLessThanOrEqual(30);
  });

  test("sets the password once, ends all sessions and verifies the address", async () => {
    const person = await world.signUp();
    const elsewhere = await world.signIn(person.email);
    const token = await resetTokenOf(person);
    expect(await reset(token)).toEqual({ __typename: "PasswordReset", email: person.email });

    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("WrongCredentials");
    const signedIn = (await world.signIn(person.email, another)).data.signIn;
    expect(signedIn).toMatchObject({ __typename: "SignedIn", user: { emailVerified: true } });
    for (const cookie of [person.cookie, elsewhere.cookie]) {
      expect((await world.refresh(cookie)).data.refreshSession.__typename).toBe("SessionEnded");
    }
    const revocations = (await world.emitted(tokensRevoked)).filter((event) => event.key === person.id);
    expect(revocations).toHaveLength(1);
    expect(revocations[0]?.data).not.toHaveProperty("sessionId");

    expect(await reset(token, password)).toEqual({ __typename: "LinkNotValid" });
    expect((await world.signIn(person.email, another)).data.signIn.__typename).toBe("SignedIn");
  });

  test("with one token at the same time does it once", async () => {
    const token = await resetTokenOf(await world.signUp());
    const answers = await Promise.all([reset(token), reset(token, `${another} 2`), reset(token, `${another} 3`)]);
    expect(answers.map((answer) => answer.__typename).sort()).toEqual([
      "LinkNotValid",
      "LinkNotValid",
      "PasswordReset",
    ]);
  });

  test("uses up the other mails too", async () => {
    const person = await world.signUp();
    const first = await resetTokenOf(person);
    const second = await resetTokenOf(person);
    expect(second).not.toBe(first);
    expect((await reset(first)).__typename).toBe("PasswordReset");
    expect((await reset(second)).__typename).toBe("LinkNotValid");
  });

  test("is only possible in time, with a token that was sent for it, and with a fit password", async () => {
    const person = await world.signUp();
    const token = await resetTokenOf(person);
    expect(await reset(token, "short")).toEqual({ __typename: "InvalidInput", field: "password" });
    const [verification] = await tokensOf(person, emailVerificationRequested);
    for (const wrong of [verification!, "", "x", `${token}x`])
      expect((await reset(wrong)).__typename).toBe("LinkNotValid");
    await world.admin.query("UPDATE link_tokens SET expires_at = now() WHERE user_id = $1", [person.id]);
    expect((await reset(token)).__typename).toBe("LinkNotValid");
    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("SignedIn");
  });

  test("moves nobody but the one to whom the mail went (Saleor CVE-2026-35407)", async () => {
    const [person, other] = [await world.signUp(), await world.signUp()];
    expect((await reset(await resetTokenOf(person))).email).toBe(person.email);
    expect((await world.signIn(other.email)).data.signIn.__typename).toBe("SignedIn");
    expect((await world.refresh(other.cookie)).data.refreshSession.__typename).toBe("SignedIn");
  });

  test("lets in who was locked out by wrong passwords", async () => {
    const person = await world.signUp();
    for (let wrong = 0; wrong < 5; wrong++) await world.signIn(person.email, "not the password");
    expect((await world.signIn(person.email)).data.signIn.__typename).toBe("TooManyAttempts");
    await reset(await resetTokenOf(person));
    expect((await world.signIn(person.email, another)).data.signIn.__typename).toBe("SignedIn");
  });

  test("is limited for an address, known or not", async () => {
    const person = await world.signUp();
    for (const email of [person.email, `${randomUUID()}@example.com`]) {
      const answers = await Promise.all(Array.from({ length: 6 }, () => requestReset(email)));
      const names = answers.map((answer) => answer.data.requestPasswordReset.__typename).sort();
      expect(names).toEqual([...Array(4).fill("MailOnItsWay"), ...Array(2).fill("TooManyAttempts")]);
    }
  });

  test("keeps no token and no address that is not an account's", async () => {
    const person = await world.signUp();
    const token = await resetTokenOf(person);
    const { rows } = await world.admin.query("SELECT l::text AS row FROM link_tokens l WHERE user_id = $1", [
      person.id,
    ]);
    for (const { row } of rows) {
      expect(row).not.toContain(token);
      expect(row).not.toContain(Buffer.from(token).toString("hex"));
    }
  });
});

describe("verifying an address", () => {
  const request = `mutation { requestEmailVerification { __typename ... on EmailVerified { email } } }`;

  test("takes the token of the mail, once", async () => {
    const person = await world.signUp();
    const [token] = await tokensOf(person, emailVerificationRequested);
    expect(await verify(token!)).toEqual({ __typename: "EmailVerified", email: person.email });
    const { data } = await world.ask(`{ me { emailVerified } }`, {}, { token: person.token });
    expect(data.me.emailVerified).toBe(true);
    expect(await verify(token!)).toEqual({ __typename: "LinkNotValid" });
    const again = await world.ask(request, {}, { token: person.token });
    expect(again.data.requestEmailVerification).toEqual({ __typename: "EmailVerified", email: person.email });
  });

  test("does not take a token for a reset, nor verify anybody else (Saleor CVE-2026-35407)", async () => {
    const [person, other] = [await world.signUp(), await world.signUp()];
    expect(await verify(await resetTokenOf(person))).toEqual({ __typename: "LinkNotValid" });
    const [token] = await tokensOf(person, emailVerificationRequested);
    await verify(token!);
    const { data } = await world.ask(`{ me { emailVerified } }`, {}, { token: other.token });
    expect(data.me.emailVerified).toBe(false);
  });

  test("can be asked for again, some times", async () => {
    const person = await world.signUp();
    const names: string[] = [];
    for (let count = 0; count < 5; count++) {
      names.push((await world.ask(request, {}, { token: person.token })).data.requestEmailVerification.__typename);
    }
    expect(names).toEqual([...Array(4).fill("MailOnItsWay"), "TooManyAttempts"]);
    const tokens = await tokensOf(person, emailVerificationRequested);
    expect(tokens).toHaveLength(5);
    expect((await verify(tokens[2]!)).__typename).toBe("EmailVerified");
    expect((await verify(tokens[4]!)).__typename).toBe("LinkNotValid");
  });
});
