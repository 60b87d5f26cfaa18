import { purchase } from "@crowdcrunch/tools/bench/shopper";
import { percentile } from "@crowdcrunch/tools/bench/figures";
import { loop, twoOf } from "@crowdcrunch/tools/bench/stretch";
import { expect } from "./check.ts";
import type { Shop } from "./shop.ts";
import { watchWorkingSets } from "./working-set.ts";
import type { World } from "./world.ts";

/** Enough that not all wait for the same row. */
const articleCount = 16;

/**
 * Eight shoppers buy for some seconds as fast as they are served, while the kubelets' figures are watched. Throws where
 * a container was started again or killed, or the pods' peaks together are more than was promised.
 */
export async function eightShoppers(
  { cluster, say }: Pick<World, "cluster" | "say">,
  shop: Shop,
  options: { what: string; promisedMiB: number; seconds: number },
): Promise<string> {
  const { what, promisedMiB, seconds } = options;
  const restartsBefore = await shop.restarts();
  const skus = (await shop.newArticles(articleCount, 1_000_000)).map(({ skuId }) => skuId);
  const choose = twoOf(skus, 1);
  const { shoppers } = await shop.shoppers(8);
  const graph = shop.openGraph({ connections: 16 });
  const sampling = await watchWorkingSets(cluster, {
    ...{ namespace: shop.namespace, promisedMiB },
    what: `${what}, ${seconds} s of eight shoppers`,
  });
  const { results, tookSeconds } = await loop(8, seconds, (index) =>
    purchase(graph, shoppers[index]!.token, choose()).catch(() => undefined),
  );
  const { sumMiB, withIstioMiB } = await sampling.end();
  const bought = results.filter((result) => result !== undefined);
  for (const { orderId } of bought) shop.note({ id: orderId });
  const p50Ms = percentile(
    bought.map(({ placeToConfirmedMs }) => placeToConfirmedMs),
    0.5,
  );
  say(
    `${bought.length} purchases, ${(bought.length / tookSeconds).toFixed(1)}/s, half of them confirmed within ${p50Ms.toFixed(0)} ms; ${graph.failed.length} of ${graph.asked()} requests failed`,
  );
  const restarts = await shop.restarts();
  expect("no container is started again", JSON.stringify(restarts) === JSON.stringify(restartsBefore), restarts);
  expect(`the pods' peaks are below ${promisedMiB} MiB`, sumMiB < promisedMiB, `${sumMiB.toFixed(0)} MiB`);
  expect("shoppers can buy", bought.length > seconds / 4, bought.length);
  return `${bought.length} purchases, ${(bought.length / tookSeconds).toFixed(1)}/s, p50 ${p50Ms.toFixed(0)} ms; peaks ${sumMiB.toFixed(0)} of ${promisedMiB} MiB (${withIstioMiB.toFixed(0)} with Istio's own pods), no restart`;
}
