import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeStep } from "@crowdcrunch/kit/key-rotation";
import { openGraph } from "@crowdcrunch/shopper/client";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { keyFiles } from "@crowdcrunch/tools/key-rotation";
import { jwksFile, signingKeyFile } from "@crowdcrunch/tools/secrets";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WholeShop } from "./whole-shop.ts";

/** Longer than anybody takes to look at a key file again. */
const rereadMs = 2_500;

/** A rotation of the keys, after which no token from before counts. Declares the test. */
export function keyTests(open: () => WholeShop): void {
  let varDir: string;
  let throughGateway: GraphClient;
  /** The same subgraph, asked past the gateway. */
  let direct: GraphClient;

  beforeAll(() => {
    const { shop } = open();
    varDir = shop.varDir;
    throughGateway = openGraph(shop.graphUrl);
    direct = openGraph(`${shop.url({ port: 4_001 })}/graphql`);
  });
  afterAll(async () => {
    await throughGateway?.close();
    await direct?.close();
  });

  const kidOf = (token: string): string =>
    JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString("utf8")).kid;
  const isLetIn = (graph: GraphClient, token: string) =>
    graph.ask("{ me { id } }", {}, token).then(
      () => true,
      () => false,
    );
  async function newToken(): Promise<string> {
    const { startGuestSession } = await throughGateway.ask(
      "mutation { startGuestSession { ... on GuestSession { accessToken } } }",
    );
    return startGuestSession.accessToken;
  }

  test("keys rotate under load without a failed request; old tokens are good until they end", async () => {
    const first = await newToken();
    const tokens = [first];
    let requests = 0;
    let stopped = false;
    // New tokens are made and old and new ones used, at the gateway and past it; any refusal throws.
    const load = [throughGateway, direct].map(async (graph, at) => {
      while (!stopped) {
        if (at === 0 && requests % 10 === 0) tokens.push(await newToken());
        await graph.ask("{ me { id } }", {}, tokens[requests % tokens.length]);
        requests++;
        await sleep(5);
      }
    });
    const failed = Promise.all(load);
    failed.catch(() => {});

    await takeStep(keyFiles(varDir), "publish");
    await sleep(rereadMs);
    // Both files in turn half written and missing, as by a copy that is broken off.
    for (const file of [jwksFile, signingKeyFile].map((name) => join(varDir, name))) {
      const whole = await readFile(file, "utf8");
      await writeFile(file, whole.slice(0, whole.length / 2));
      await sleep(rereadMs);
      await rm(file);
      await sleep(rereadMs);
      await writeFile(`${file}.new`, whole);
      await rename(`${file}.new`, file);
    }
    await takeStep(keyFiles(varDir), "switch");
    await sleep(rereadMs);
    const latest = await newToken();
    stopped = true;
    await failed;

    expect(kidOf(latest)).not.toBe(kidOf(first));
    expect(requests).toBeGreaterThan(200);
    for (const graph of [throughGateway, direct]) {
      expect([await isLetIn(graph, first), await isLetIn(graph, latest)]).toEqual([true, true]);
    }
    // Retired before its tokens have ended, the old key counts no more.
    await takeStep(keyFiles(varDir), "retire");
    await sleep(rereadMs);
    for (const graph of [throughGateway, direct]) {
      expect([await isLetIn(graph, first), await isLetIn(graph, latest)]).toEqual([false, true]);
    }
  });
}
