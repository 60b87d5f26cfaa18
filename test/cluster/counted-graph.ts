import type { GraphClient } from "@crowdcrunch/shopper/client";

/** A client of the graph that counts what it asks and what fails. */
export interface CountedGraph extends GraphClient {
  /** Requests that have been answered or have failed. */
  asked(): number;
  /** What requests failed with, oldest first: a broken connection, a refusal, or an answer with errors. */
  failed: string[];
}

/** Counts the requests of a client; what the graph says in its own words, such as a price that changed, is no failure. */
export function countRequests(graph: GraphClient): CountedGraph {
  const failed: string[] = [];
  let asked = 0;
  return {
    async ask(...request) {
      try {
        return await graph.ask(...request);
      } catch (error) {
        failed.push(`${new Date().toISOString().slice(11, 19)} ${(error as Error).message}`);
        throw error;
      } finally {
        asked += 1;
      }
    },
    close: () => graph.close(),
    asked: () => asked,
    failed,
  };
}
