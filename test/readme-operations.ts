import { readFileSync } from "node:fs";

const readme = new URL("../README.md", import.meta.url);

export interface ReadmeOperation {
  /** The operation's name, e.g. "PlaceOrder". */
  name: string;
  /** The text to paste. */
  document: string;
}

/** README.md, as it is. */
export function readmeText(): string {
  return readFileSync(readme, "utf8");
}

/** The operations of the README's tour, in its order: its blocks of GraphQL. */
export function readmeOperations(): ReadmeOperation[] {
  return [...readmeText().matchAll(/^```graphql\n([^]*?)^```$/gm)].map(([, document = ""]) => {
    const name = /^(?:query|mutation) (\w+)/.exec(document)?.[1];
    if (!name) throw new Error(`this operation of README.md has no name:\n${document}`);
    return { name, document };
  });
}
