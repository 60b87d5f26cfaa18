import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { CodedError } from "@crowdcrunch/kit/errors";
import Type from "typebox";
import { Value } from "typebox/value";

/** The operations that clients may ask for, by their ids: SHA-256 of the document, in hexadecimal. */
export interface ListedOperations {
  /** Throws PERSISTED_QUERY_ID_REQUIRED without an id, PERSISTED_QUERY_NOT_IN_LIST for one that is unknown. */
  documentOf(id: unknown): string;
}

/** Apollo's format of such lists, which its clients' tools write. */
const manifest = Type.Object({
  format: Type.Literal("apollo-persisted-query-manifest"),
  version: Type.Literal(1),
  operations: Type.Array(Type.Object({ id: Type.String(), body: Type.String() })),
});

/** Reads the list. Throws with the file and what is wrong with it, such as a document that its id is not the hash of. */
export async function readListedOperations(file: string): Promise<ListedOperations> {
  const refuse = (problem: string) =>
    new Error(`OPERATIONS_FILE ${file} ${problem}; \`make operations\` writes such a list`);
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw refuse(`cannot be read: ${(error as Error).message}`);
  }
  if (!Value.Check(manifest, content)) throw refuse("is no apollo-persisted-query-manifest of version 1");
  const documents = new Map<string, string>();
  for (const { id, body } of content.operations) {
    if (createHash("sha256").update(body).digest("hex") !== id)
      throw refuse(`has a document that ${id} is not the SHA-256 of`);
    documents.set(id, body);
  }
  return {
    documentOf(id) {
      if (typeof id !== "string" || id === "") {
        throw new CodedError("PERSISTED_QUERY_ID_REQUIRED", "Only listed operations are taken here, by their ids.");
      }
      const document = documents.get(id.replace(/^sha256:/, ""));
      if (document === undefined)
        throw new CodedError("PERSISTED_QUERY_NOT_IN_LIST", "No operation of this id is listed.");
      return document;
    },
  };
}
