import { randomUUID } from "node:crypto";
import { generateSigningKey, signAccessToken } from "@crowdcrunch/kit/signing-keys";
import { check, expect } from "../check.ts";

export default check({
  name: "forged-token",
  shows: "a token that somebody else signed is 401, before it reaches a service",
  seconds: 60,
  async run({ shop }) {
    const ask = async (token?: string) => {
      const { status } = await fetch(shop.graphUrl, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
        body: JSON.stringify({ query: "{ shippingMethods { code } }" }),
        signal: AbortSignal.timeout(10_000),
      });
      return status;
    };
    const claims = { sub: randomUUID(), sid: randomUUID(), roles: ["ADMIN" as const], issuedAt: new Date() };
    const { privateKey } = await generateSigningKey();
    const good = await shop.token({ roles: ["SHOPPER"] });
    const [header, payload] = good.split(".");
    const kid = (JSON.parse(Buffer.from(header!, "base64url").toString()) as { kid: string }).kid;
    const unsigned = Buffer.from(JSON.stringify({ alg: "none", kid })).toString("base64url");
    const expired = { ...claims, issuedAt: new Date(Date.now() - 3_600_000) };
    const forged = {
      "of another key": (await signAccessToken(privateKey, claims)).token,
      "of another key under the name of ours": (await signAccessToken({ ...privateKey, kid }, claims)).token,
      "without a signature": `${unsigned}.${payload}.`,
      "that has expired, of another key": (await signAccessToken({ ...privateKey, kid }, expired)).token,
    };
    for (const [which, token] of Object.entries(forged)) {
      const status = await ask(token);
      expect(`a token ${which} is 401`, status === 401, status);
    }
    const [withGood, withNone] = [await ask(good), await ask()];
    expect("a token of the shop is taken, and none is needed to look", withGood === 200 && withNone === 200, [
      withGood,
      withNone,
    ]);
    return `${Object.keys(forged).length} kinds of forged tokens 401, a good one ${withGood}, none ${withNone}`;
  },
});
