import { auditShop } from "@crowdcrunch/auditor/audit";
import { untilQuiet } from "./quiet.ts";
import type { WholeShop } from "./whole-shop.ts";

/**
 * Ends a suite of the whole shop: once nothing is on its way, all that must always hold does, with no time left to
 * anything. Stops the shop in any case. Throws with the offending rows, so that a suite which leaves a violation fails.
 */
export async function stopAudited(world: WholeShop | undefined): Promise<void> {
  if (!world) return;
  const { shop } = world;
  const url = shop.databaseUrl("auditor");
  const env = shop.eventLogEnvironment;
  const lines: string[] = [];
  try {
    await untilQuiet(world);
    await auditShop({ url, env, windowSeconds: 0, say: (line) => void lines.push(line), quiet: true });
  } finally {
    await world.stop();
  }
  if (lines.length > 0) throw new Error(`The suite leaves violations behind:\n${lines.join("\n")}`);
}
