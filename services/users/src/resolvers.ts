import "@fastify/cookie";
import { invalid } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Caller, Commands } from "./commands.ts";
import type { Links } from "./commands-links.ts";
import type { Roles } from "./commands-roles.ts";
import type { GuestSession, Sessions, SignedIn } from "./commands-sessions.ts";
import type { Resolvers } from "./generated/graphql.ts";
import { sessionDays } from "./session.ts";
import type { Lists } from "./store-lists.ts";

/** The cookie with the refresh token: no script can read it, and no other site can have it sent. */
export const refreshCookie = "crowdcrunch_refresh";

/** GraphQL in and out of users. */
export function createResolvers(parts: {
  commands: Commands;
  sessions: Sessions;
  links: Links;
  roles: Roles;
  lists: Lists;
  config: { COOKIE_SECURE: boolean };
}): Resolvers {
  const { commands, sessions, links, roles, lists } = parts;
  const cookie = { path: "/graphql", httpOnly: true, sameSite: "strict", secure: parts.config.COOKIE_SECURE } as const;

  /** The answer without what goes into the cookie. */
  function withCookie<Signed extends SignedIn | GuestSession>(
    context: RequestContext,
    { cookie: value, ...signed }: Signed,
  ) {
    context.reply.setCookie(refreshCookie, value, { ...cookie, maxAge: sessionDays * 24 * 60 * 60 });
    return signed;
  }

  const mailOnItsWay = { __typename: "MailOnItsWay", message: "The mail is on its way." } as const;

  return {
    Query: {
      me: (_, _args, context) => {
        const { sub, roles: held } = requireViewer(context.viewer);
        return held.includes("GUEST") ? null : context.load(lists.usersById, sub);
      },
      users: async (_, { first, after, emailStartsWith }) => {
        const users = await lists.searchUsers({
          after: after ? requireUuid(after, "after") : null,
          emailStartsWith: emailStartsWith?.trim().toLowerCase() || null,
          limit: pageSize(first) + 1,
        });
        const nodes = users.slice(0, first);
        return { nodes, pageInfo: { hasNextPage: users.length > first, endCursor: nodes.at(-1)?.id ?? null } };
      },
    },
    Mutation: {
      startGuestSession: async (_, _args, context) => ({
        __typename: "GuestSession",
        ...withCookie(context, await sessions.startGuest()),
      }),
      signUp: async (_, { input }, context) => ({
        __typename: "SignedIn",
        ...withCookie(context, await commands.signUp(callerOf(context), input)),
      }),
      signIn: async (_, { input }, context) => ({
        __typename: "SignedIn",
        ...withCookie(context, await commands.signIn(callerOf(context), input)),
      }),
      refreshSession: async (_, _args, context) => {
        const next = await sessions.refresh(context.request.cookies[refreshCookie]);
        return "user" in next
          ? { __typename: "SignedIn", ...withCookie(context, next) }
          : { __typename: "GuestSession", ...withCookie(context, next) };
      },
      signOut: async (_, { input }, context) => {
        const ended = await sessions.signOut(context.viewer, input.everywhere ?? false);
        context.reply.clearCookie(refreshCookie, cookie);
        return { __typename: "SignedOut", sessions: ended };
      },
      openOrderLink: async (_, { input }) => ({
        __typename: "OrderLinkOpened",
        ...(await sessions.openOrderLink(input.token)),
      }),
      requestPasswordReset: async (_, { input }, context) => {
        await links.requestPasswordReset(callerOf(context).clientAddress, input.email);
        return mailOnItsWay;
      },
      resetPassword: async (_, { input }) => ({
        __typename: "PasswordReset",
        email: await links.resetPassword(input.token, input.password),
      }),
      requestEmailVerification: async (_, _args, context) => {
        const email = await links.requestEmailVerification(context.viewer);
        return email === null ? mailOnItsWay : { __typename: "EmailVerified", email };
      },
      verifyEmail: async (_, { input }) => ({
        __typename: "EmailVerified",
        email: await links.verifyEmail(input.token),
      }),
      setRoles: async (_, { input }, context) => {
        if (input.roles.length === 0) throw invalid("roles", "Name at least one role.");
        return {
          __typename: "RolesSet",
          user: await roles.set(context.viewer, requireUuid(input.userId, "userId"), input.roles),
        };
      },
    },
    User: {
      __resolveReference: ({ id }, context) => context.load(lists.usersById, requireUuid(String(id), "id")),
      sessions: async (user, _args, context) => (await context.load(lists.sessionsOfUsers, user.id)) ?? [],
    },
    Session: {
      current: (session, _args, context) => session.id === context.viewer?.sid,
    },
  };
}

/** Who asks, and from where: the gateway says so, since it knows which proxies to believe. */
function callerOf(context: RequestContext): Caller {
  const forwarded = context.request.headers["x-client-address"];
  return {
    viewer: context.viewer,
    clientAddress: typeof forwarded === "string" && forwarded ? forwarded : context.request.ip,
  };
}
