/** Reads of the catalogue per second, as pages of a storefront make them. */
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { loop } from "./stretch.ts";

const reads = {
  list: {
    query: `query List { products(first: 20) { nodes { id name skus { id price(currency: "GBP") { amountMinor } availability } } } }`,
  },
  detail: {
    query: `query Detail($slug: String!) { product(slug: $slug) { id name description skus { id code price(currency: "GBP") { amountMinor } availability } } }`,
  },
  search: {
    query: `query Search($text: String!) { products(matching: { text: $text }, first: 20) { nodes { id name } } }`,
  },
};

/** With 8 readers, each kind for so many seconds. */
export async function readRates(graph: GraphClient, seconds: number): Promise<Record<string, number>> {
  const { products } = await graph.ask(`query Slugs { products(first: 100) { nodes { slug } } }`);
  const slugs = (products.nodes as { slug: string }[]).map(({ slug }) => slug);
  const words = ["blue mug", "oak lamp", "striped scarf", "kettle", "glas lantern", "enamel"];
  let turn = 0;
  const rates: Record<string, number> = {};
  for (const [name, { query }] of Object.entries(reads)) {
    const { results, tookSeconds } = await loop(8, seconds, () => {
      turn += 1;
      const variables =
        name === "detail"
          ? { slug: slugs[turn % slugs.length] }
          : name === "search"
            ? { text: words[turn % words.length] }
            : {};
      return graph.ask(query, variables);
    });
    rates[`${name}PerS`] = results.length / tookSeconds;
  }
  return rates;
}
