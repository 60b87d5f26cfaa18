import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { operatorToken } from "@crowdcrunch/tools/operator";
import { jwksFile, signingKeyFile } from "@crowdcrunch/tools/secrets";
import { signAccessToken } from "@crowdcrunch/kit/signing-keys";
import { createBadTokens, startAttacker } from "../../e2e/callers.ts";
import { scenario } from "../scenario.ts";

const query = `query Steal($number: String!) { order(number: $number) { id status } myOrders(first: 1) { nodes { id } } }`;

export default scenario({
  number: 40,
  name: "forged-tokens",
  fault: "token with alg none, HS256 by public key, wrong aud, expired, jku",
  hypothesis: "A token that the users service did not sign for us, for now, opens nothing, at the gateway and past it.",
  expectation: "401, and the shop goes on",
  async run({ shop, inject, heal, fired, expect, post, shopper, load, until, lasts }) {
    const attacker = await startAttacker();
    const owner = await shopper();
    const read = async (file: string) => JSON.parse(await readFile(join(shop.varDir, file), "utf8"));
    const privateKey = await read(signingKeyFile);
    const bad = await createBadTokens(
      {
        privateKey,
        jwks: await read(jwksFile),
        token: async ({ sub = owner.id, roles, issuedAt }) =>
          issuedAt
            ? (await signAccessToken(privateKey, { sub, roles, sid: sub, issuedAt })).token
            : operatorToken(shop.varDir, { sub, roles }),
      },
      owner.id,
      attacker,
    );
    const letIn: unknown[] = [];
    let refused = 0;
    for (let round = 0; round < 5; round++) {
      const variables = { number: load.acknowledged.at(-1)!.number };
      await inject(`${bad.length} kinds of tokens that are none`, async () => {
        for (const { name, token } of bad)
          for (const to of [{ token }, { token, service: "orders" }]) {
            const { status, data, errors } = await post({ query, variables }, { ...to, token: token! });
            if (status === 401 && data == null && errors?.[0]?.extensions?.code === "UNAUTHENTICATED") refused += 1;
            else letIn.push({ name, status, data });
          }
      });
      await lasts(1);
    }
    await attacker.close();
    fired(refused, "401 by the gateway and by orders itself");
    expect("all are refused", letIn.length === 0, letIn.slice(0, 3));
    expect("nobody asked the attacker for his keys", attacker.fetches() === 0, attacker.fetches());
    await heal("no more of them");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
