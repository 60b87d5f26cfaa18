import { readFile, stat } from "node:fs/promises";
import type { Actor } from "@crowdcrunch/events/vocabulary";
import { createLocalJWKSet, errors, importJWK, jwtVerify } from "jose";
import type { JSONWebKeySet, JWK, JWTPayload } from "jose";
import { LRUCache } from "lru-cache";
import { CodedError, forbidden, notFound, unauthenticated } from "./errors.ts";
import type { Logger } from "./logger.ts";

export type Role = "GUEST" | "SHOPPER" | "STAFF" | "ADMIN";

/** Who calls, as the access token says. */
export interface Viewer {
  /** The person's id: a customer's, or a guest's. */
  sub: string;
  roles: Role[];
  /** The session, so that it can be revoked. */
  sid: string;
  /** Set when the token came from an order's link: only this order may be seen. */
  orderScope?: string;
  /** When the token was issued, seconds since 1970; may have a fraction. */
  iat: number;
  /** When the token ends, seconds since 1970. */
  exp: number;
}

export const tokenIssuer = "crowdcrunch";
export const tokenAudience = "crowdcrunch";
export const tokenAlgorithm = "ES256";
/** Access tokens live ten minutes; longer ones are refused. */
export const tokenLifetimeSeconds = 600;
/** So far the clocks of two machines may be apart: each five minutes off, in either direction. */
export const clockSkewSeconds = 600;

export interface TokenVerifier {
  /** Resolves to the viewer, or null without a header. Throws UNAUTHENTICATED for a token that is not good. */
  verify(authorization: string | undefined): Promise<Viewer | null>;
}

const recheckMs = 1_000;

/**
 * Verifies access tokens with the public keys of `jwksFile`, which is read again when it changes (looked at once a
 * second at most, so that unknown key ids cannot flood). Verified tokens are remembered until they end.
 */
export function createTokenVerifier(options: { jwksFile: string; log: Logger }): TokenVerifier {
  const verified = new LRUCache<string, Viewer>({ max: 5_000, ttl: tokenLifetimeSeconds * 1_000 });
  let keys: ReturnType<typeof createLocalJWKSet> | undefined;
  /** What told the file that was read from another one. */
  let readVersion = "";
  let checkedMs = Number.NEGATIVE_INFINITY;
  let refreshing: Promise<void> = Promise.resolve();

  /** Those that come while the first keys are read wait for them. */
  function refresh(): Promise<void> {
    if (performance.now() - checkedMs >= recheckMs) {
      checkedMs = performance.now();
      refreshing = readKeys();
    }
    return refreshing;
  }

  async function readKeys(): Promise<void> {
    try {
      const { mtimeMs, ino, size } = await stat(options.jwksFile);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === readVersion) return;
      const set = JSON.parse(await readFile(options.jwksFile, "utf8")) as JSONWebKeySet;
      const read = createLocalJWKSet(set);
      const usable = await Promise.all(set.keys.map((key) => isUsable(key)));
      if (!usable.includes(true)) throw new Error(`it holds no public key for ${tokenAlgorithm}`);
      keys = read;
      readVersion = version;
      verified.clear();
    } catch (error) {
      // A missing or half-written file: the keys that were read before stay in force.
      options.log.warn(
        { file: options.jwksFile, error: (error as Error).message },
        "the key file JWKS_FILE cannot be read",
      );
    }
  }

  return {
    async verify(authorization) {
      if (authorization === undefined || authorization === "") return null;
      const [scheme, token] = authorization.split(" ");
      if (scheme?.toLowerCase() !== "bearer" || !token)
        throw unauthenticated("The authorization header must be: Bearer <access token>.");
      await refresh();
      const known = verified.get(token);
      if (known && known.exp * 1_000 > Date.now()) return known;
      if (!keys) throw new CodedError("UNAVAILABLE", "Tokens cannot be checked now; try again.", 1_000);
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms: [tokenAlgorithm],
          issuer: tokenIssuer,
          audience: tokenAudience,
          requiredClaims: ["sub", "sid", "exp", "iat", "roles"],
          clockTolerance: 5,
        });
        if (!isShortLived(payload)) throw unauthenticated("The access token lives too long.");
        const viewer: Viewer = {
          sub: String(payload.sub),
          roles: payload["roles"] as Role[],
          sid: String(payload["sid"]),
          iat: Number(payload.iat),
          exp: Number(payload.exp),
          ...(typeof payload["order"] === "string" ? { orderScope: payload["order"] } : {}),
        };
        verified.set(token, viewer);
        return viewer;
      } catch (error) {
        if (error instanceof errors.JOSEError) throw unauthenticated("The access token is not valid or has expired.");
        throw error;
      }
    },
  };
}

/**
 * A token may seem to come from the future: its signature is ours, and the clock of whoever made it, or this one, is off.
 * Beyond what clocks may be apart it is refused, because revocations are remembered only until then.
 */
function isShortLived({ iat, exp }: JWTPayload): boolean {
  const leftSeconds = exp! - Date.now() / 1_000;
  return exp! - iat! <= tokenLifetimeSeconds && leftSeconds <= tokenLifetimeSeconds + clockSkewSeconds;
}

/** False for what is no public key of our algorithm. */
function isUsable(key: JWK): Promise<boolean> {
  return importJWK(key, tokenAlgorithm).then(
    () => true,
    () => false,
  );
}

/** True for people who run the shop. */
export function isStaff(viewer: Viewer | null): boolean {
  return viewer !== null && (viewer.roles.includes("STAFF") || viewer.roles.includes("ADMIN"));
}

/** The caller. Throws UNAUTHENTICATED where there is none. */
export function requireViewer(viewer: Viewer | null): Viewer {
  if (!viewer) throw unauthenticated();
  return viewer;
}

/**
 * Lets the owner and staff pass; a stranger is told that there is no such thing. With an order's link only that order
 * may be touched: pass `orderId` wherever the thing belongs to one.
 */
export function requireOwner(viewer: Viewer | null, customerId: string, orderId?: string): void {
  if (isStaff(viewer)) return;
  const { sub, orderScope } = requireViewer(viewer);
  if (sub !== customerId) throw notFound();
  if (orderScope !== undefined && orderScope !== orderId) throw forbidden("This link is for one order only.");
}

const rolesByWeight = ["ADMIN", "STAFF", "SHOPPER", "GUEST"] as const;

/** Who acts, as events and timelines name them: the person and the weightiest of the roles. */
export function actorOf(viewer: Viewer): Actor {
  return { id: viewer.sub, role: rolesByWeight.find((role) => viewer.roles.includes(role)) ?? "GUEST" };
}
