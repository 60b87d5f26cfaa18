import { randomUUID } from "node:crypto";
import { testService } from "@crowdcrunch/kit/testing/service";
import type { GraphAnswer, TestService } from "@crowdcrunch/kit/testing/service";
import { decodeJwt } from "jose";
import { users } from "../src/service.ts";

export const orderLinkSecret = "a secret that orders shares";
export const password = "correct horse battery";

/** The service, and a person's way through it. */
export interface World extends TestService {
  /** Like `graph`, from a client address of its own and with a refresh cookie. Cookies set are in the answer. */
  ask(query: string, variables?: Record<string, unknown>, options?: AskOptions): Promise<Answer>;
  signUp(input?: Record<string, unknown>, options?: AskOptions): Promise<Person>;
  signIn(email: string, secret?: string, options?: AskOptions): Promise<Answer>;
  refresh(cookie: string | undefined): Promise<Answer>;
}

export interface AskOptions {
  token?: string | undefined;
  cookie?: string | undefined;
  clientAddress?: string;
}

export interface Answer extends GraphAnswer {
  /** The value of the refresh cookie that was set; "" where it was taken away. */
  cookie: string | undefined;
  /** The whole header that set it. */
  setCookie: string | undefined;
}

export interface Person {
  id: string;
  email: string;
  token: string;
  cookie: string;
  sessionId: string;
}

const signedIn = "__typename ... on SignedIn { accessToken expiresAt user { id email roles emailVerified } }";
const problems =
  "... on Problem { message } ... on InvalidInput { field } ... on TooManyAttempts { retryAfterSeconds }";
export const signUpMutation = `mutation ($input: SignUpInput!) { signUp(input: $input) { ${signedIn} ${problems} } }`;
export const signInMutation = `mutation ($input: SignInInput!) { signIn(input: $input) { ${signedIn} ${problems} } }`;
export const refreshMutation = `mutation { refreshSession { ${signedIn} ... on GuestSession { accessToken guestId } ... on Problem { message } } }`;

export async function createWorld(env: Record<string, string> = {}): Promise<World> {
  const service = await testService(users, {
    env: (keys) => ({
      SIGNING_KEY_FILE: keys.signingKeyFile,
      GUEST_COOKIE_SECRET: "a secret of users alone",
      ORDER_LINK_SECRET: orderLinkSecret,
      ...env,
    }),
  });

  async function ask(
    query: string,
    variables: Record<string, unknown> = {},
    options: AskOptions = {},
  ): Promise<Answer> {
    const { token, cookie, clientAddress = randomUUID() } = options;
    const answer = await service.graph(query, variables, {
      token,
      headers: {
        "x-client-address": clientAddress,
        ...(cookie === undefined ? {} : { cookie: `crowdcrunch_refresh=${cookie}` }),
      },
    });
    const setCookie = answer.headers.getSetCookie().find((header) => header.startsWith("crowdcrunch_refresh="));
    return { ...answer, setCookie, cookie: setCookie?.split(";")[0]?.slice("crowdcrunch_refresh=".length) };
  }

  return {
    ...service,
    ask,
    async signUp(input = {}, options = {}) {
      const email = `${randomUUID()}@example.com`;
      const answer = await ask(signUpMutation, { input: { email, password, ...input } }, options);
      const { accessToken, user } = answer.data.signUp;
      return {
        id: user.id,
        email: user.email,
        token: accessToken,
        cookie: answer.cookie!,
        sessionId: String(decodeJwt(accessToken)["sid"]),
      };
    },
    signIn: (email, secret = password, options = {}) =>
      ask(signInMutation, { input: { email, password: secret } }, options),
    refresh: (cookie) => ask(refreshMutation, {}, { cookie }),
  };
}
