import { createHmac, createPublicKey, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Role } from "@crowdcrunch/kit/identity";
import { generateSigningKey } from "@crowdcrunch/kit/signing-keys";
import { SignJWT, decodeJwt } from "jose";
import type { JWK } from "jose";
import type { OpenServices } from "./open-services.ts";

/** Somebody who calls, and what may be expected of the token. */
export interface Caller {
  name: string;
  token: string | undefined;
  /** "bad": the token is not one. "link": it came from the link of another order of the owner's. */
  kind: "nobody" | "stranger" | "staff" | "owner" | "link" | "bad";
  roles: Role[];
}

/** Everybody that the matrix has a column for and whose token is good. */
export async function createCallers(services: OpenServices, ownerId: string): Promise<Caller[]> {
  const stranger = async (role: Role, kind: Caller["kind"]): Promise<Caller> => ({
    name: role,
    kind,
    roles: [role],
    token: await services.token({ roles: [role] }),
  });
  const link = await services.token({ sub: ownerId, roles: ["GUEST"], order: randomUUID() });
  return [
    { name: "no token", kind: "nobody", roles: [], token: undefined },
    await stranger("GUEST", "stranger"),
    await stranger("SHOPPER", "stranger"),
    await stranger("STAFF", "staff"),
    await stranger("ADMIN", "staff"),
    { name: "the link of another order", kind: "link", roles: ["GUEST"], token: link },
    // Last, because it may change what the others look at.
    {
      name: "the owner",
      kind: "owner",
      roles: ["SHOPPER"],
      token: await services.token({ sub: ownerId, roles: ["SHOPPER"] }),
    },
  ];
}

/** Tokens of the owner that are none, each with the name of the trick. `keysUrl` is where the attacker's keys are. */
export async function createBadTokens(
  services: Pick<OpenServices, "token" | "privateKey" | "jwks">,
  ownerId: string,
  attacker: { privateKey: JWK; keysUrl: string },
): Promise<Caller[]> {
  const claims = { sub: ownerId, roles: ["SHOPPER", "STAFF", "ADMIN"] satisfies Role[] };
  const good = await services.token(claims);
  const payload = decodeJwt(good);
  const { privateKey } = services;
  const kid = privateKey.kid!;
  const publicKey = services.jwks.keys[0]!;

  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = (key: JWK, changes: object = {}, header: object = {}) =>
    new SignJWT({ ...payload, ...changes }).setProtectedHeader({ alg: "ES256", kid, ...header }).sign(key);
  const symmetric = (secret: string | Buffer) => {
    const content = `${encode({ alg: "HS256", kid })}.${encode(payload)}`;
    return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
  };

  const tokens: Record<string, string> = {
    "an expired token": await services.token({ ...claims, issuedAt: new Date(Date.now() - 660_000) }),
    "alg none": `${encode({ alg: "none", kid })}.${encode(payload)}.`,
    "alg none with a signature": `${encode({ alg: "none", kid })}.${encode(payload)}.${good.split(".")[2]}`,
    "HS256 by the public key as PEM": symmetric(
      createPublicKey({ key: publicKey as never, format: "jwk" }).export({ type: "spki", format: "pem" }),
    ),
    "HS256 by the public key as JWK": symmetric(JSON.stringify(publicKey)),
    "a wrong audience": await signed(privateKey, { aud: "another-shop" }),
    "a jku header": await signed(attacker.privateKey, {}, { kid: attacker.privateKey.kid, jku: attacker.keysUrl }),
    "a foreign key under our id": await signed(attacker.privateKey),
    "changed roles": `${good.split(".")[0]}.${encode({ ...payload, sub: randomUUID() })}.${good.split(".")[2]}`,
  };
  return Object.entries(tokens).map(([name, token]) => ({ name, token, kind: "bad", roles: claims.roles }));
}

/** Keys of somebody else, and a server that gives out the public one and counts who asks. */
export async function startAttacker() {
  const { privateKey, jwks } = await generateSigningKey();
  let fetches = 0;
  const server = createServer((_request, response) => {
    fetches += 1;
    response.setHeader("content-type", "application/json").end(JSON.stringify(jwks));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    privateKey,
    keysUrl: `http://127.0.0.1:${port}/jwks.json`,
    fetches: () => fetches,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
