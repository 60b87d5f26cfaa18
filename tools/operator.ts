/** Tokens for the programs of those who run the shop: import, replay, staff's tools and tests. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { signAccessToken } from "@crowdcrunch/kit/signing-keys";
import type { JWK } from "jose";
import { signingKeyFile } from "./secrets.ts";

/**
 * An access token for whoever has the shop's secrets at hand: staff for imports and the like. It lives ten minutes; ask
 * again for a longer run.
 */
export async function operatorToken(
  varDir: string,
  who: { sub?: string; roles?: ("STAFF" | "ADMIN" | "GUEST" | "SHOPPER")[] } = {},
): Promise<string> {
  const key = JSON.parse(await readFile(join(varDir, signingKeyFile), "utf8")) as JWK;
  const { token } = await signAccessToken(key, {
    sub: who.sub ?? operatorId,
    sid: randomUUID(),
    roles: who.roles ?? ["STAFF"],
    issuedAt: new Date(),
  });
  return token;
}

/** Who acts in timelines and idempotency keys where an operator's program did. */
const operatorId = "00000000-0000-7000-8000-00000000c0de";
