import { randomBytes } from "node:crypto";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import type { JSONWebKeySet, JWK } from "jose";
import { tokenAlgorithm, tokenAudience, tokenIssuer, tokenLifetimeSeconds } from "./identity.ts";
import type { Role } from "./identity.ts";

/** A pair of keys for access tokens: the private one is for users alone, the set is for everybody. */
export interface SigningKeyPair {
  privateKey: JWK;
  jwks: JSONWebKeySet;
}

/** Makes a new pair of keys with a random key id. */
export async function generateSigningKey(): Promise<SigningKeyPair> {
  const pair = await generateKeyPair(tokenAlgorithm, { extractable: true });
  const about = { kid: randomBytes(8).toString("hex"), alg: tokenAlgorithm, use: "sig" };
  const privateKey = { ...(await exportJWK(pair.privateKey)), ...about };
  return { privateKey, jwks: { keys: [publicKeyOf(privateKey)] } };
}

/** The public half of a key for access tokens. */
export function publicKeyOf({ kty, crv, x, y, kid }: JWK): JWK {
  return { kty: kty!, crv: crv!, x: x!, y: y!, kid: kid!, alg: tokenAlgorithm, use: "sig" };
}

/** What an access token says. */
export interface AccessTokenClaims {
  /** The person's id. */
  sub: string;
  /** The session's id. */
  sid: string;
  roles: Role[];
  /** The only order that the token is for, where it came from an order's link. */
  order?: string;
  issuedAt: Date;
}

export interface AccessToken {
  token: string;
  expiresAt: Date;
}

/**
 * Signs an access token that lives ten minutes. The issue time keeps its milliseconds, so that a token made right after
 * a revocation is told from one made right before it. Throws where the key is no private ES256 key.
 */
export async function signAccessToken(privateKey: JWK, claims: AccessTokenClaims): Promise<AccessToken> {
  const { issuedAt, order, ...rest } = claims;
  const iat = issuedAt.getTime() / 1_000;
  const exp = Math.floor(iat) + tokenLifetimeSeconds;
  const token = await new SignJWT({ ...rest, ...(order === undefined ? {} : { order }), iat })
    .setProtectedHeader({ alg: tokenAlgorithm, ...(privateKey.kid === undefined ? {} : { kid: privateKey.kid }) })
    .setIssuer(tokenIssuer)
    .setAudience(tokenAudience)
    .setExpirationTime(exp)
    .sign(privateKey);
  return { token, expiresAt: new Date(exp * 1_000) };
}
