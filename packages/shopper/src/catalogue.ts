import { Problem } from "@crowdcrunch/kit/program";
import type { GraphClient } from "./client.ts";
import type { Money } from "./words.ts";

export interface Article {
  skuId: string;
  name: string;
  price: Money;
  digital: boolean;
}

interface Product {
  name: string;
  skus: { id: string; digital: boolean; availability: string; price: Money | null; options: { value: string }[] }[];
}
interface Page {
  products: { nodes: Product[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
}

const fields = `nodes { name skus { id digital availability price { amountMinor currency } options { value } } } pageInfo { hasNextPage endCursor }`;
const list = `query List($after: String) { categories { name } products(first: 60, after: $after, sort: NEWEST) { ${fields} } }`;
const search = `query Search($text: String!) { products(matching: { text: $text, inStock: true }, first: 5) { ${fields} } }`;

/** A physical article of which a few can be had, at a price. */
const isParcel = (article: Article, availability: string) => !article.digital && availability === "IN_STOCK";

function articlesOf(product: Product): { article: Article; availability: string }[] {
  return product.skus.flatMap(({ id, digital, availability, price, options }) => {
    const name = [product.name, ...options.map(({ value }) => value)].join(", ");
    return price && price.amountMinor > 0 ? [{ article: { skuId: id, name, price, digital }, availability }] : [];
  });
}

/** What the catalogue's first page shows. */
export async function lookAround(graph: GraphClient): Promise<{ categories: string[]; products: string[] }> {
  const data = await graph.ask<Page & { categories: { name: string }[] }>(list);
  return {
    categories: data.categories.map(({ name }) => name),
    products: data.products.nodes.map(({ name }) => name),
  };
}

/** The products found for a text, best first. */
export async function find(graph: GraphClient, text: string): Promise<{ names: string[]; articles: Article[] }> {
  const { products } = await graph.ask<Page>(search, { text });
  const parcels = products.nodes
    .flatMap(articlesOf)
    .filter(({ article, availability }) => isParcel(article, availability));
  return { names: products.nodes.map(({ name }) => name), articles: parcels.map(({ article }) => article) };
}

/** Pages looked through at most; a catalogue of imported goods may have the downloads far behind. */
const pagesAtMost = 60;

/** The catalogue has no such article. */
export class NothingToBuy extends Problem {
  override name = "NothingToBuy";
}

/** The first article that is as wanted. Throws NothingToBuy where the catalogue has none. */
export async function firstArticle(graph: GraphClient, kind: "physical" | "digital"): Promise<Article> {
  let after: string | null = null;
  for (let page = 0; page < pagesAtMost; page++) {
    const { products }: Page = await graph.ask<Page>(list, { after });
    for (const { article, availability } of products.nodes.flatMap(articlesOf)) {
      if (kind === "digital" ? article.digital : isParcel(article, availability)) return article;
    }
    if (!products.pageInfo.hasNextPage) break;
    after = products.pageInfo.endCursor;
  }
  throw new NothingToBuy(`The catalogue has no ${kind} article that can be bought.`);
}
