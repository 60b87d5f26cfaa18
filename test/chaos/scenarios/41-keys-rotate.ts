import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeStep } from "@crowdcrunch/kit/key-rotation";
import { generateSigningKey, signAccessToken } from "@crowdcrunch/kit/signing-keys";
import { keyFiles } from "@crowdcrunch/tools/key-rotation";
import { jwksFile, signingKeyFile } from "@crowdcrunch/tools/secrets";
import { keepAsking } from "../asking.ts";
import { scenario } from "../scenario.ts";
import type { World } from "../world.ts";

/** Longer than anybody takes to look at a key file again. */
const rereadMs = 1_500;
/** Whoever looks at a set of keys that is missing says so: a look is a line. */
const noKeys = { users: "SIGNING_KEY_FILE cannot be read", gateway: "the key file JWKS_FILE cannot be read" };
const floodOf = 400;
const me = "query Me { me { id } }";
const begin = "mutation Begin { startGuestSession { ... on GuestSession { accessToken } } }";

/** Asks with tokens of key ids that nobody knows, while a look at the set of keys leaves a line in the gateway's log. */
async function flood({ points, request, expect, inject }: World): Promise<void> {
  const tokens = Array.from({ length: floodOf }, async () => {
    const claims = { sub: randomUUID(), sid: randomUUID(), roles: ["ADMIN" as const], issuedAt: new Date() };
    return (await signAccessToken((await generateSigningKey()).privateKey, claims)).token;
  });
  const made = await Promise.all(tokens);
  const [beganMs, looksBefore] = [performance.now(), points.logged("gateway", noKeys.gateway)];
  const answers = await inject(`${floodOf} tokens of unknown keys`, () =>
    Promise.all(made.map((token) => request(me, {}, token))),
  );
  const seconds = (performance.now() - beganMs) / 1_000;
  const looks = points.logged("gateway", noKeys.gateway) - looksBefore;
  const refused = answers.filter(({ status }) => status === 401).length;
  expect("all of them are refused", refused === floodOf, refused);
  expect("the keys are looked at once a second at most", looks <= seconds + 1, `${looks} in ${seconds.toFixed(1)} s`);
}

export default scenario({
  number: 41,
  name: "keys-rotate",
  fault: "signing keys rotate; key file missing, stale or half written",
  hypothesis: "A new key, and any state of the key files on the way to it, is noticed by nobody who has a good token.",
  expectation: "old tokens work; an unknown kid cannot flood",
  async run(world) {
    const { shop, points, graph, load, inject, heal, fired, expect } = world;
    const newToken = async (): Promise<string> => (await graph.ask(begin)).startGuestSession.accessToken;
    const old = await newToken();
    let latest = old;
    const failedBefore = load.failedRequests.length;
    const asking = keepAsking(30, [
      async () => void (latest = await newToken()),
      () => graph.ask(me, {}, latest),
      () => graph.ask(me, {}, old),
    ]);
    async function write(file: string, content: string): Promise<void> {
      writeFileSync(`${file}.new`, content, { mode: 0o600 });
      renameSync(`${file}.new`, file);
      await sleep(rereadMs);
    }
    const [jwks, signing] = [jwksFile, signingKeyFile].map((file) => join(shop.varDir, file)) as [string, string];
    const before = readFileSync(jwks, "utf8");
    await inject("a second key is published", () => takeStep(keyFiles(shop.varDir), "publish"));
    await sleep(rereadMs);
    const published = readFileSync(jwks, "utf8");
    await inject("the set of keys is stale", () => write(jwks, before));
    await write(jwks, published);
    for (const file of [jwks, signing]) {
      const whole = readFileSync(file, "utf8");
      await inject(`${file} is half written`, () => write(file, whole.slice(0, whole.length / 2)));
      await inject(`${file} is missing`, () => rmSync(file));
      await sleep(rereadMs);
      if (file === jwks) await flood(world);
      await write(file, whole);
    }
    await inject("the second key signs", () => takeStep(keyFiles(shop.varDir), "switch"));
    await sleep(rereadMs);
    latest = await newToken();
    await sleep(rereadMs);
    await asking.end();

    for (const [name, line] of Object.entries(noKeys)) fired(points.logged(name, line), `"${line}" by ${name}`);
    const kids = [old, latest].map((token) => JSON.parse(atob(token.split(".")[0]!)).kid as string);
    expect("another key signs", kids[0] !== kids[1], kids);
    expect("tokens were used and made all the time", asking.answered() > 100, asking.answered());
    const failed = [...asking.failed, ...load.failedRequests.slice(failedBefore)];
    expect("no request with a token of either key has failed", failed.length === 0, failed.slice(0, 5));
    await heal("the keys are in order");
  },
  async afterQuiet({ shop, request, shopper, until }) {
    // Nobody has a token of the first key any more.
    await takeStep(keyFiles(shop.varDir), "retire");
    const { token } = await shopper();
    await until("a token of the second key let in", async () => (await request(me, {}, token)).status === 200);
  },
});
