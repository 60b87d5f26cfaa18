import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { BatchLoad } from "@crowdcrunch/kit/graphql";
import type { Session } from "./session.ts";
import { userColumns } from "./store.ts";
import type { User } from "./user.ts";

const usersById = statement<User>("usersById", `SELECT ${userColumns} FROM users WHERE id = ANY($1::uuid[])`);
const sessionsOfUsers = statement<Session>(
  "sessionsOfUsers",
  `SELECT id, user_id AS "userId", created_at AS "createdAt", rotated_at AS "lastUsedAt", expires_at AS "expiresAt"
   FROM sessions WHERE user_id = ANY($1::uuid[]) AND expires_at > now() ORDER BY id DESC`,
);
const searchUsers = statement<User>(
  "usersSearch",
  `SELECT ${userColumns} FROM users
   WHERE ($1::uuid IS NULL OR id < $1) AND ($2::text IS NULL OR email LIKE $2) ORDER BY id DESC LIMIT $3`,
);

/** What the graph reads. */
export interface Lists {
  usersById: BatchLoad<string, User>;
  /** The newest first. */
  sessionsOfUsers: BatchLoad<string, Session[]>;
  /** The newest first, from the one after `after`; the address begins with `emailStartsWith`. */
  searchUsers(search: { after: string | null; emailStartsWith: string | null; limit: number }): Promise<User[]>;
}

export function createLists(db: Queryable): Lists {
  return {
    usersById: async (ids) => inOrderOf(ids, await db.many(usersById, [ids]), (user) => user.id),
    sessionsOfUsers: async (ids) =>
      groupedInOrderOf(ids, await db.many(sessionsOfUsers, [ids]), (session) => session.userId),
    searchUsers: ({ after, emailStartsWith, limit }) =>
      db.many(searchUsers, [after, emailStartsWith === null ? null : `${literally(emailStartsWith)}%`, limit]),
  };
}

/** A pattern of LIKE that means the text itself. */
function literally(text: string): string {
  return text.replaceAll(/[\\%_]/g, String.raw`\$&`);
}
