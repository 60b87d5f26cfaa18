import { readFile, stat } from "node:fs/promises";
import { retryable } from "@crowdcrunch/kit/errors";
import { tokenAlgorithm } from "@crowdcrunch/kit/identity";
import type { Logger } from "@crowdcrunch/kit/logger";
import { signAccessToken } from "@crowdcrunch/kit/signing-keys";
import type { AccessToken, AccessTokenClaims } from "@crowdcrunch/kit/signing-keys";
import { importJWK } from "jose";
import type { JWK } from "jose";

export interface TokenSigner {
  /** Throws UNAVAILABLE while there is no key. */
  sign(claims: AccessTokenClaims): Promise<AccessToken>;
}

const recheckMs = 1_000;

/** Signs access tokens with the private key of `keyFile`, which is read again when it changes: keys rotate without a restart. */
export function createTokenSigner(options: { keyFile: string; log: Logger }): TokenSigner {
  let key: JWK | undefined;
  /** What told the file that was read from another one. */
  let readVersion = "";
  let checkedMs = Number.NEGATIVE_INFINITY;

  async function refresh(): Promise<void> {
    if (performance.now() - checkedMs < recheckMs) return;
    checkedMs = performance.now();
    try {
      const { mtimeMs, ino, size } = await stat(options.keyFile);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === readVersion) return;
      const read = JSON.parse(await readFile(options.keyFile, "utf8")) as JWK;
      if (!read.d || !read.kid) throw new Error("it holds no private key with a key id");
      await importJWK(read, tokenAlgorithm);
      key = read;
      readVersion = version;
    } catch (error) {
      // A missing or half-written file: the key that was read before stays in use.
      options.log.warn({ file: options.keyFile, error: (error as Error).message }, "SIGNING_KEY_FILE cannot be read");
    }
  }

  return {
    async sign(claims) {
      await refresh();
      if (!key) throw retryable("UNAVAILABLE", "Tokens cannot be made now; try again.", 1_000);
      return signAccessToken(key, claims);
    },
  };
}
