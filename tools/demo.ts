/**
 * `make demo`: starts the shop unless it runs, and buys something the way a shopper would. Prints the order's timeline as
 * it happens; the shop runs on afterwards. Exits with 1 and a sentence where a step does not come.
 */
import { auditShop } from "@crowdcrunch/auditor/audit";
import { NothingToBuy, find, firstArticle, lookAround } from "@crowdcrunch/shopper/catalogue";
import { GraphFailure, openGraph } from "@crowdcrunch/shopper/client";
import { TooLate } from "@crowdcrunch/shopper/patience";
import { makeAccount, order, putIntoCart, quoteOf, sendOneBack, visit } from "@crowdcrunch/shopper/shopper";
import { followTimeline } from "@crowdcrunch/shopper/timeline";
import { money } from "@crowdcrunch/shopper/words";
import { download, mailedLink } from "./demo/download.ts";
import { seeParcelDelivered, takeBack } from "./demo/staff.ts";
import { Problem, main, shopPlace } from "./environment.ts";
import { chosenKafka } from "./kafka/shop-kafka.ts";
import { operatorToken } from "./operator.ts";
import { gateway } from "./processes.ts";
import { ensureShop } from "./shop.ts";
import type { RunningShop } from "./shop.ts";

const say = console.log;
const wanted = "mug";
/** What she does, between the lines of the timeline. */
const aside = " ".repeat(14) + "→ ";

await main(async () => {
  const startedAt = performance.now();
  say("Starting the shop, unless it runs …");
  const shop = await ensureShop({
    ...shopPlace(),
    kafka: chosenKafka(),
    env: { fulfillment: { CARRIER_SIMULATOR: "true" } },
    say,
  });
  const took = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  say(`The shop is ready, after ${took()}.\n`);
  await buy(shop);
  await audit(shop);
  printAddresses(shop);
  say(`\nBought, paid, delivered, returned and refunded: the demo is complete, after ${took()}.`);
});

async function buy(shop: RunningShop): Promise<void> {
  const graph = openGraph(shop.graphUrl);
  try {
    const { categories, products } = await lookAround(graph);
    say(`Ada looks at the catalogue: ${categories.join(", ")}; for example ${products.slice(0, 3).join(", ")}.`);
    const found = await find(graph, wanted);
    say(`She searches for "${wanted}": ${found.names.join(", ") || "nothing"}.`);
    const parcel = found.articles[0] ?? (await firstArticle(graph, "physical"));
    const file = await firstArticle(graph, "digital");

    const guestToken = await visit(graph);
    await putIntoCart(graph, guestToken, parcel.skuId, 2);
    await putIntoCart(graph, guestToken, file.skuId, 1);
    say("As a guest she puts into her cart:");
    say(`  2 × ${parcel.name}, ${money(parcel.price)} each`);
    say(`  1 × ${file.name}, ${money(file.price)}, to download`);
    const shopper = await makeAccount(graph, guestToken);
    const quote = await quoteOf(graph, shopper.token, 2);
    say(`She signs up as ${shopper.email}, and her cart follows.`);
    const { items, tax, shipping, total } = quote;
    say(`Goods ${money(items)}, tax ${money(tax)}, shipping ${money(shipping)}: ${money(total)} in all.`);

    const placed = await order(graph, shopper, quote);
    say(`She orders and pays by card. Order ${placed.number}:\n`);
    const timeline = followTimeline(graph, { number: placed.number, token: shopper.token }, say);
    const happened = (step: string, event: string) =>
      timeline.until(step, ({ timeline: entries }) => entries.some(({ what }) => what === event));
    await happened("The confirmation", "CONFIRMED");
    await happened("The download", "DIGITAL_GOODS_SENT");
    const { name, bytes } = await download(await mailedLink(shop.varDir, shopper.email));
    say(`${aside}she opens the link in her mail and gets ${name} (${bytes} bytes)`);
    const staffToken = await operatorToken(shop.varDir);
    await seeParcelDelivered(graph, staffToken, timeline);
    say(`${aside}she keeps one of the two and sends the other back`);
    const returned = await sendOneBack(graph, shopper.token, placed);
    const refunded = await takeBack(graph, staffToken, returned);
    await happened("The end of the return", "RETURN_SETTLED");
    await timeline.end();
    say(`\nShe has ${money(refunded)} back.`);
  } catch (error) {
    if (error instanceof GraphFailure) throw new Problem(`The shop could not answer: ${error.message}. See make logs.`);
    if (error instanceof NothingToBuy)
      throw new Problem(
        `${error.message} Begin with a shop of its own, for example make demo PORT_OFFSET=1000 CROWDCRUNCH_VAR=var2`,
      );
    if (error instanceof TooLate)
      throw new Problem(`${error.message} What stands in the way: make status, make logs, make parked.`);
    throw error;
  } finally {
    await graph.close();
  }
}

/** Throws a Problem where the shop's books do not agree after all this. */
async function audit(shop: RunningShop): Promise<void> {
  const { eventLogEnvironment: env } = shop;
  const violated = await auditShop({ url: shop.databaseUrl("auditor"), env, windowSeconds: 60, say, quiet: true });
  if (violated > 0) throw new Problem(`${violated} invariants are violated (see above, and make audit).`);
  say("The books of all services agree (make audit).");
}

function printAddresses(shop: RunningShop): void {
  const row = (what: string, where: string) => say(`  ${what.padEnd(12)} ${where}`);
  say("\nThe shop runs on. To look at:");
  row("storefront", `${shop.url(gateway)}/`);
  row("graph", shop.graphUrl);
  row("metrics", `${shop.metricsUrl(gateway)}/metrics, and of each service at its port + 100`);
  row("mails", "make mails");
  row("processes", "make status · make logs · make logs SERVICE=orders");
  row("to stop it", "make down");
}
