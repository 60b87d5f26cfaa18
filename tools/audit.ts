/** `make audit`: checks the invariants over all schemas as a role that can only read. WINDOW=60 spares what is younger. */
import { auditShop } from "./audit/audit.ts";
import { Problem, main, shopPlace } from "./environment.ts";
import { shopAddresses } from "./processes.ts";

await main(async () => {
  const windowSeconds = Number(process.env.WINDOW ?? 60);
  if (!Number.isFinite(windowSeconds) || windowSeconds < 0) throw new Problem(`WINDOW is "${process.env.WINDOW}"; it must be a number of seconds.`);
  const shop = await shopAddresses(shopPlace());
  const violated = await auditShop({ url: process.env.AUDITOR_URL ?? shop.databaseUrl("auditor"), windowSeconds, say: console.log }).catch((error: Error) => {
    if ((error as { code?: string }).code === "ECONNREFUSED") throw new Problem("No database answers: start the shop with `make up`, or name another one with AUDITOR_URL.");
    throw error;
  });
  console.log(violated === 0 ? "All invariants hold." : `${violated} invariants are violated.`);
  if (violated > 0) process.exitCode = 1;
});
