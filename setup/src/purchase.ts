/**
 * `helm test`: buys something the way a shopper would, through the gateway at SHOP_URL, and prints the order's timeline.
 * Exits with 1 and a sentence where the order is not confirmed within a minute.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { processEnvironment, readConfig } from "@crowdcrunch/kit/config";
import { Problem, main } from "@crowdcrunch/kit/program";
import { NothingToBuy, firstArticle } from "@crowdcrunch/shopper/catalogue";
import type { Article } from "@crowdcrunch/shopper/catalogue";
import { GraphFailure, openGraph } from "@crowdcrunch/shopper/client";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { TooLate } from "@crowdcrunch/shopper/patience";
import { makeAccount, order, putIntoCart, quoteOf, visit } from "@crowdcrunch/shopper/shopper";
import { followTimeline } from "@crowdcrunch/shopper/timeline";
import { money } from "@crowdcrunch/shopper/words";
import { endOnSignals, say, waitingFor } from "./progress.ts";
import { purchaseVariables } from "./variables.ts";

/** How long a gateway or a service may take to be there, in ms. */
const patienceMs = 60_000;

endOnSignals();
await main(async () => {
  const { SHOP_URL: shopUrl } = readConfig(purchaseVariables, processEnvironment());
  const beganMs = performance.now();
  const direct = openGraph(`${shopUrl}/graphql`, { timeoutMs: 15_000 });
  try {
    const again = patience(shopUrl);
    await buy(patient(direct, again), again);
  } catch (error) {
    if (error instanceof TooLate)
      throw new Problem(`${error.message} See kubectl get pods, and kubectl logs of orders, inventory and payments.`);
    throw error;
  } finally {
    await direct.close();
  }
  say(`\nOrdered, reserved, paid and confirmed, after ${((performance.now() - beganMs) / 1_000).toFixed(1)} s.`);
});

/** Waits a moment before something is tried again. Throws a Problem with the reason once there has been time enough. */
type Again = (reason: string) => Promise<void>;

function patience(where: string): Again {
  const waiting = waitingFor(`the shop at ${where}`, say);
  const giveUpAt = performance.now() + patienceMs;
  return async (reason) => {
    if (performance.now() > giveUpAt) {
      throw new Problem(
        `The shop at ${where} was not ready within ${patienceMs / 1_000} s: ${reason} See kubectl get pods.`,
      );
    }
    waiting(reason);
    await sleep(1_000);
  };
}

/** An article of the starter catalogue, which inventory loads when it starts for the first time. */
async function articleOf(graph: GraphClient, again: Again): Promise<Article> {
  for (;;) {
    try {
      return await firstArticle(graph, "physical");
    } catch (error) {
      if (!(error instanceof NothingToBuy)) throw error;
      await again(error.message);
    }
  }
}

async function buy(graph: GraphClient, again: Again): Promise<void> {
  const article = await articleOf(graph, again);
  const guest = await visit(graph);
  await putIntoCart(graph, guest, article.skuId, 1);
  say(`A guest puts into the cart: ${article.name}, ${money(article.price)}.`);
  const shopper = await makeAccount(graph, guest);
  const quote = await quoteOf(graph, shopper.token, 1);
  say(`She signs up as ${shopper.email}, and the cart follows: ${money(quote.total)} with tax and shipping.`);
  const { number } = await order(graph, shopper, quote);
  say(`She orders and pays by card. Order ${number}:\n`);
  const timeline = followTimeline(graph, { number, token: shopper.token }, say);
  const { status } = await timeline.until(
    "The confirmation",
    ({ status: now, timeline: entries }) => isRefused(now) || entries.some(({ what }) => what === "CONFIRMED"),
  );
  await timeline.end();
  if (isRefused(status)) throw new Problem(`The order ${number} is ${status}; its timeline above says why.`);
}

function isRefused(status: string): boolean {
  return status === "REJECTED" || status === "CANCELLED";
}

/** What a graph says that is not whole yet: a service is on its way, or a proxy answers in its place. */
function isPassing({ errors }: GraphFailure): boolean {
  return errors.every(
    ({ extensions }) => extensions?.retryAfterMs !== undefined || extensions?.code?.startsWith("HTTP "),
  );
}

/** A graph that asks again while the gateway, or a service behind it, is not there yet. */
function patient(graph: GraphClient, again: Again): GraphClient {
  return {
    ...graph,
    async ask(query, variables, token) {
      for (;;) {
        try {
          return await graph.ask(query, variables, token);
        } catch (error) {
          const failure = error as Error & { code?: string };
          const reason = `${failure.message || String(failure.code)}.`;
          if (failure instanceof GraphFailure && !isPassing(failure)) {
            throw new Problem(
              `The shop could not answer: ${reason} See kubectl logs of the gateway and of its services.`,
            );
          }
          await again(reason);
        }
      }
    },
  };
}
