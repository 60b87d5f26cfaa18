import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "@crowdcrunch/tools/live";
import { orderInput } from "../../e2e/steady-load.ts";
import { tell } from "../../e2e/whole-shop.ts";
import type { Article } from "../../e2e/whole-shop.ts";
import { check, expect } from "../check.ts";

const updates = `subscription Follow($number: String!) { orderUpdated(number: $number) { status version } }`;
const availability = `subscription Watch($ids: [ID!]!) { availabilityChanged(skuIds: $ids) { id availability } }`;

/** Longer than the 15 s after which Envoy ends a request that nobody has told it to leave alone. */
const silentSeconds = 20;

export default check({
  name: "live",
  shows: "an order is followed as it happens, by server-sent events from outside",
  seconds: 120,
  async run({ shop, until, say }) {
    const [shopper] = (await shop.shoppers(1)).shoppers;
    const [article] = (await shop.newArticles(1, 1)) as [Article];
    const silent = await openStream(shop.graphUrl, availability, { ids: [article.skuId] });
    await until("the state now", async () => silent.heard().includes("availabilityChanged"), 10);
    await sleep(silentSeconds * 1_000);
    expect("the silent stream is still open", !silent.hasEnded());

    const graph = shop.openGraph();
    const selection = "... on OrderPlaced { order { number } }";
    const placed = await tell(graph, "placeOrder", shopper!.token, orderInput(shopper!, [article]), selection);
    const number = placed["order"].number as string;
    const beganMs = performance.now();
    const seen: { status: string; atMs: number }[] = [];
    const followed = { query: updates, variables: { number }, token: () => shopper!.token };
    for await (const { orderUpdated } of listen(shop.graphUrl, followed)) {
      const status = orderUpdated.status as string;
      if (seen.at(-1)?.status !== status) seen.push({ status, atMs: performance.now() - beganMs });
      if (status === "COMPLETED") break;
    }
    const course = seen.map(({ status, atMs }) => `${status} ${(atMs / 1_000).toFixed(1)} s`).join(", ");
    say(course);
    const confirmed = seen.find(({ status }) => status === "CONFIRMED");
    expect("CONFIRMED is heard", confirmed !== undefined, course);
    expect("states come as they happen and not in one go", seen.at(-1)!.atMs - confirmed!.atMs > 300, course);
    await until("the news on the silent stream", async () => silent.heard().includes("OUT_OF_STOCK"), 20);
    await silent.close();
    return `${number}: ${course}; a stream that was silent for ${silentSeconds} s brought the next change`;
  },
});

/** One stream on one connection, which nobody opens again. */
async function openStream(graphUrl: string, query: string, variables: Record<string, unknown>) {
  const aborted = new AbortController();
  const answer = await fetch(graphUrl, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ query, variables }),
    signal: aborted.signal,
  });
  const type = answer.headers.get("content-type") ?? "";
  expect("a stream opens", answer.ok && type.startsWith("text/event-stream"), `${answer.status} ${type}`);
  let [heard, ended] = ["", false];
  const reading = (async () => {
    for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) heard += part;
  })()
    .catch(() => {})
    .finally(() => (ended = true));
  return {
    heard: () => heard,
    hasEnded: () => ended,
    async close() {
      aborted.abort();
      await reading;
    },
  };
}
