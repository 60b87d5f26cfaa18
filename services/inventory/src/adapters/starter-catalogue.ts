import { readFile } from "node:fs/promises";
import type { StarterCatalogue } from "../commands-seed.ts";

/** Reads the starter catalogue's files. */
export async function readStarterCatalogue(folder: URL): Promise<StarterCatalogue> {
  const read = async (file: string) => JSON.parse(await readFile(new URL(file, folder), "utf8")) as never;
  const [locations, categories, products] = await Promise.all([
    read("locations.json"),
    read("categories.json"),
    read("products.json"),
  ]);
  return { locations, categories, products };
}
