/**
 * `make audit`: checks the invariants over all schemas as a role that can only read. What may still be on its way has the
 * time that docs/invariants.md gives it; WINDOW=0, after quiet, gives it none. ACKNOWLEDGED is the log of a load driver, to
 * be looked for in the books. AUDITOR_URL names another database.
 */
import { sayVerdict } from "@crowdcrunch/auditor/verdict";
import { main, shopPlace } from "./environment.ts";
import { shopAddresses } from "./processes.ts";

await main(async () => {
  const shop = await shopAddresses(shopPlace());
  const holds = await sayVerdict({
    url: process.env.AUDITOR_URL ?? shop.databaseUrl("auditor"),
    env: shop.eventLogEnvironment,
    say: console.log,
    wayOut: "start the shop with `make up`, or name another one with AUDITOR_URL.",
  });
  if (!holds) process.exitCode = 1;
});
