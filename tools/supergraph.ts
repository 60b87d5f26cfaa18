/**
 * Composes gateway/supergraph.graphql from all services/<name>/schema.graphql.
 *
 * The subgraphs' addresses in it are placeholders (http://orders/graphql): the gateway replaces them by its
 * configuration. `--check` writes nothing and fails when the committed file is stale.
 */
import { composeServices } from "@apollo/composition";
import type { CompositionResult } from "@apollo/composition";
import { parse } from "graphql";
import type { GraphQLError } from "graphql";
import { Problem, main } from "./environment.ts";
import { keepFresh } from "./generated-file.ts";
import { readSubgraph, repositoryRoot, subgraphNames } from "./schemas.ts";

/** Where the composed graph is kept. */
export const supergraphFile = "gateway/supergraph.graphql";

const note = "# Made by `make supergraph` from services/*/schema.graphql; not edited by hand.\n";

/** Composes the services' schemas. Throws when a schema cannot be read or is not GraphQL, with its service's name. */
export function composeGraph(root = repositoryRoot): CompositionResult {
  return composeServices(
    subgraphNames(root).map((name) => {
      try {
        return { name, url: `http://${name}/graphql`, typeDefs: parse(readSubgraph(name, root)) };
      } catch (error) {
        throw new Error(`services/${name}/schema.graphql: ${(error as Error).message}`, { cause: error });
      }
    }),
  );
}

/** The text of the supergraph file, or the problems that kept the schemas from composing, one readable line each. */
export function supergraphText(root = repositoryRoot): { text?: string; problems: string[]; hints: string[] } {
  const result = composeGraph(root);
  if (result.errors) return { problems: result.errors.map(describeError), hints: [] };
  return {
    text: `${note}${result.supergraphSdl.trimEnd()}\n`,
    problems: [],
    hints: result.hints
      .filter((hint) => hint.definition.level.name !== "DEBUG")
      .map((hint) => `${hint.definition.level.name.toLowerCase()} ${hint.definition.code}: ${hint.message}`),
  };
}

function describeError(error: GraphQLError): string {
  const code = typeof error.extensions.code === "string" ? error.extensions.code : "ERROR";
  return `${code}: ${error.message.replaceAll("\n", "\n    ")}`;
}

if (import.meta.main) {
  await main(async () => {
    const { text, problems, hints } = supergraphText();
    for (const hint of hints) console.log(`  ${hint}`);
    if (text === undefined)
      throw new Problem(
        `The services' schemas do not compose:\n${problems.map((problem) => `  ${problem}`).join("\n")}`,
      );
    keepFresh(supergraphFile, text, "supergraph");
  });
}
