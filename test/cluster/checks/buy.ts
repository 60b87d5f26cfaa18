import { firstArticle } from "@crowdcrunch/shopper/catalogue";
import { makeAccount, order, putIntoCart, quoteOf, visit } from "@crowdcrunch/shopper/shopper";
import { followTimeline } from "@crowdcrunch/shopper/timeline";
import { check, expect } from "../check.ts";

export default check({
  name: "buy",
  shows: "a shopper buys from outside, at the shop's one address",
  seconds: 120,
  async run({ shop, say }) {
    const page = await fetch(shop.url, { signal: AbortSignal.timeout(10_000) });
    expect("the storefront answers", page.ok, page.status);
    const graph = shop.openGraph();
    const parcel = await firstArticle(graph, "physical");
    const file = await firstArticle(graph, "digital");
    const guest = await visit(graph);
    await putIntoCart(graph, guest, parcel.skuId, 2);
    await putIntoCart(graph, guest, file.skuId, 1);
    const shopper = await makeAccount(graph, guest);
    const placed = await order(graph, shopper, await quoteOf(graph, shopper.token, 2));
    const timeline = followTimeline(graph, { number: placed.number, token: shopper.token }, (line) => say(line.trim()));
    const arrived = await timeline.until("The end of the order", ({ status }) => status === "COMPLETED");
    await timeline.end();
    return `${placed.number}: cart as a guest, account, order, parcel and download; ${arrived.timeline.length} entries until COMPLETED`;
  },
});
