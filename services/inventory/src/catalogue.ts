import { invalid } from "@crowdcrunch/kit/errors";

// A product as staff edit it, and what is wrong with one.

export interface SkuInput {
  /** The SKU to be changed; a new one where it is not given. */
  id?: string | null;
  code: string;
  options?: { name: string; value: string }[] | null;
  digital?: boolean | null;
  weightGrams?: number | null;
  prices: { currency: string; amountMinor: number }[];
}

export interface ProductInput {
  id?: string | null;
  slug: string;
  name: string;
  description: string;
  picture?: string | null;
  taxClass?: string | null;
  published?: boolean | null;
  categories?: string[] | null;
  skus: SkuInput[];
}

const skusAtMost = 200;
const currencies = new Set(["GBP", "EUR", "USD"]);

/** The address part of a name: lower case, digits and dashes. */
export function slugOf(name: string): string {
  return name
    .toLowerCase()
    .normalize("NFKD")
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 150);
}

/** A SKU's name as an order shows it: the product's with the options. */
export function skuName(product: string, options: { value: string }[]): string {
  const values = options.map(({ value }) => value).join(", ");
  return (values ? `${product}, ${values}` : product).slice(0, 200);
}

/** Throws InvalidInput with the field where the product cannot be saved. */
export function requireProduct(product: ProductInput): void {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(product.slug) || product.slug.length > 200)
    throw invalid("slug", "A slug has lower-case letters, digits and single dashes.");
  requireText(product.name, "name", 200);
  if (product.description.length > 10_000) throw invalid("description", "A description has at most 10,000 characters.");
  if (product.picture != null && !/^[a-z0-9]+(-[a-z0-9]+)*\.svg$/.test(product.picture))
    throw invalid("picture", "A picture is a file name such as stoneware-mug.svg.");
  requireTaxClass(product.taxClass, "taxClass");
  if (product.skus.length === 0) throw invalid("skus", "A product has at least one SKU.");
  if (product.skus.length > skusAtMost) throw invalid("skus", `A product has at most ${skusAtMost} SKUs.`);
  const codes = new Set<string>();
  for (const [index, sku] of product.skus.entries()) {
    const at = `skus[${index}]`;
    requireText(sku.code, `${at}.code`, 64);
    if (codes.has(sku.code)) throw invalid(`${at}.code`, `The code ${sku.code} stands twice.`);
    codes.add(sku.code);
    if ((sku.options?.length ?? 0) > 10) throw invalid(`${at}.options`, "A SKU has at most 10 options.");
    for (const [place, option] of (sku.options ?? []).entries()) {
      requireText(option.name, `${at}.options[${place}].name`, 50);
      requireText(option.value, `${at}.options[${place}].value`, 100);
    }
    if ((sku.weightGrams ?? 0) < 0) throw invalid(`${at}.weightGrams`, "A weight is zero or more.");
    if (sku.prices.length === 0) throw invalid(`${at}.prices`, "A SKU has a price in at least one currency.");
    requirePrices(sku.prices, `${at}.prices`);
  }
}

/** Throws InvalidInput where a price is none or a currency stands twice. */
export function requirePrices(prices: { currency: string; amountMinor: number }[], field: string): void {
  const seen = new Set<string>();
  for (const [index, price] of prices.entries()) {
    requirePrice(price, `${field}[${index}]`);
    if (seen.has(price.currency)) throw invalid(`${field}[${index}].currency`, `${price.currency} stands twice.`);
    seen.add(price.currency);
  }
}

/** Throws InvalidInput where the shop does not sell in the currency. */
export function requireCurrency(currency: string, field: string): void {
  if (!currencies.has(currency)) throw invalid(field, `The shop sells in ${[...currencies].join(", ")}.`);
}

export function requirePrice(price: { currency: string; amountMinor: number }, field: string): void {
  requireCurrency(price.currency, `${field}.currency`);
  if (!Number.isSafeInteger(price.amountMinor) || price.amountMinor < 0)
    throw invalid(`${field}.amountMinor`, "A price is a whole number of minor units, zero or more.");
}

export function requireTaxClass(taxClass: string | null | undefined, field: string): void {
  if (taxClass != null && !["standard", "reduced", "zero"].includes(taxClass))
    throw invalid(field, "A tax class is standard, reduced or zero.");
}

export function requireText(text: string, field: string, atMost: number): void {
  if (text.trim() === "" || text.length > atMost) throw invalid(field, `This has 1 to ${atMost} characters.`);
}
