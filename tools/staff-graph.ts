import { GraphFailure, openGraph } from "@crowdcrunch/shopper/client";
import { operatorToken } from "./operator.ts";
import { Problem, shopPlace } from "./environment.ts";
import { gateway, shopAddresses } from "./processes.ts";

/** Asks the graph as an operator; throws GraphFailure where it answers with errors. */
export type AskAsStaff = <Data = any>(document: string, variables?: Record<string, unknown>) => Promise<Data>;

/** Lets a program ask this place's graph as staff, whatever of the shop is ready. Throws a Problem where nothing answers. */
export async function asStaff(work: (ask: AskAsStaff) => Promise<void>): Promise<void> {
  const shop = await shopAddresses(shopPlace());
  const graph = openGraph(`${shop.url(gateway)}/graphql`);
  const token = await operatorToken(shop.varDir);
  try {
    await work((document, variables) => graph.ask(document, variables, token));
  } catch (error) {
    if ((error as { code?: string }).code === "ECONNREFUSED")
      throw new Problem("The graph does not answer: start the shop with make up, or see make status.");
    if (error instanceof GraphFailure) throw new Problem(error.message);
    throw error;
  } finally {
    await graph.close();
  }
}
