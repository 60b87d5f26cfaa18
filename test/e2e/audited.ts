import { auditShop } from "@crowdcrunch/auditor/audit";
import { groupLags } from "@crowdcrunch/auditor/group-lags";
import { services } from "@crowdcrunch/auditor/invariant";
import { openLog } from "@crowdcrunch/auditor/log";
import { createLogger } from "@crowdcrunch/kit/logger";
import { until } from "./whole-shop.ts";
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

/** Waits until no event, no operation at the provider and no compensation is under way; what waits for a person may. */
async function untilQuiet({ shop, books }: WholeShop): Promise<void> {
  const log = createLogger({ service: "test", level: "silent" });
  const eventLog = await openLog({ url: shop.databaseUrl("auditor"), env: shop.eventLogEnvironment, log });
  try {
    await until("quiet", async () => {
      const { rows } = await books.query<{ under_way: number }>(underWay);
      if (rows[0]!.under_way > 0) return false;
      if ((await groupLags(eventLog)).some(({ events }) => events > 0)) return false;
      return (await books.query<{ under_way: number }>(underWay)).rows[0]!.under_way === 0;
    });
  } finally {
    await eventLog.close();
  }
}

const underWay = `SELECT (
  ${services.map((service) => `(SELECT count(*) FROM ${service}.outbox)`).join(" + ")}
  + (SELECT count(*) FROM payments.operations WHERE status IN ('PENDING', 'UNKNOWN'))
  + (SELECT count(*) FROM orders.orders WHERE awaits_stock)
)::int AS under_way`;
