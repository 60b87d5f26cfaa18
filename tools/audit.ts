/**
 * `make audit`: checks the invariants over all schemas as a role that can only read. What may still be on its way has the
 * time that docs/invariants.md gives it; WINDOW=0, after quiet, gives it none. ACKNOWLEDGED is the log of a load driver, to
 * be looked for in the books. AUDITOR_URL names another database.
 */
import { readDriverLog } from "@crowdcrunch/auditor/acknowledged";
import type { Acknowledged } from "@crowdcrunch/auditor/acknowledged";
import { auditShop } from "@crowdcrunch/auditor/audit";
import { Problem, main, shopPlace } from "./environment.ts";
import { shopAddresses } from "./processes.ts";

await main(async () => {
  const windowSeconds = process.env.WINDOW ? Number(process.env.WINDOW) : undefined;
  if (windowSeconds !== undefined && !(windowSeconds >= 0 && windowSeconds < Infinity))
    throw new Problem(`WINDOW is "${process.env.WINDOW}"; it must be a number of seconds.`);
  const shop = await shopAddresses(shopPlace());
  const violated = await auditShop({
    url: process.env.AUDITOR_URL ?? shop.databaseUrl("auditor"),
    env: shop.eventLogEnvironment,
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
    ...(process.env.ACKNOWLEDGED ? { acknowledged: await driverLog(process.env.ACKNOWLEDGED) } : {}),
    say: console.log,
  }).catch((error: Error) => {
    if ((error as { code?: string }).code === "ECONNREFUSED")
      throw new Problem("No database answers: start the shop with `make up`, or name another one with AUDITOR_URL.");
    throw error;
  });
  console.log(violated === 0 ? "All invariants hold." : `${violated} invariants are violated.`);
  if (violated > 0) process.exitCode = 1;
});

async function driverLog(file: string): Promise<Acknowledged[]> {
  return readDriverLog(file).catch((error: Error) => {
    throw new Problem(`ACKNOWLEDGED cannot be read: ${error.message}.`);
  });
}
