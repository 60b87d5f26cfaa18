/**
 * `make replay CSV=…`: an Online Retail file's invoices as orders and its cancellations as returns, through the graph. It
 * can be stopped and run again; what is there stays as it is. It ends with the totals as the services' ledgers have them.
 * KILL_SECONDS=5 kills a service of the shop every 5 seconds meanwhile, taken by SEED, and its broker twice.
 * Exit codes: 1 where rows were left out, something failed or the books disagree, 2 where the file cannot be used, 130 when
 * stopped.
 */
import { auditShop } from "@crowdcrunch/auditor/audit";
import { shopPlace } from "./environment.ts";
import { exitCodes, planFile, retailMain } from "./retail/file.ts";
import { ledgerTotals } from "./retail/ledger-totals.ts";
import { chosenKilling, killedInWords, startKilling } from "./retail/killing.ts";
import { openLedgers } from "./retail/ledgers.ts";
import { startProgress } from "./retail/progress.ts";
import { replay } from "./retail/replaying.ts";
import { runningShop } from "./retail/shop.ts";
import { openStaff } from "./retail/staff.ts";
import { stopOnInterrupt } from "./retail/stopping.ts";
import { linesOf } from "./retail/totals.ts";

const connections = 16;

await retailMain("replay", process.env.CSV, async (file) => {
  const chosen = chosenKilling();
  const { plan, rows, broken } = await planFile(file, console.error);
  console.log(`${file}: ${rows} rows, ${plan.orders.length} orders, ${plan.returns.length} returns.`);
  const shop = await runningShop(shopPlace());
  const stop = stopOnInterrupt();
  const staff = openStaff(shop, connections, stop);
  const ledgers = openLedgers(shop.databaseUrl("auditor"));
  const killing = chosen && startKilling(shop, chosen, console.log);
  const progress = killing ? killing.watched(startProgress) : startProgress;
  try {
    const failed = await replay({ staff, ledgers, stop, progress, complain: console.error }, plan);
    if (killing) {
      console.log(`Killed with SIGKILL: ${killedInWords(await killing.stop())} (SEED=${chosen.seed}).`);
      await shop.untilReady();
    }
    const { totals, differences } = await ledgerTotals(ledgers, plan);
    for (const difference of differences) console.error(`The ledgers differ: ${difference}.`);
    if (failed > 0) console.error(`${failed} orders or returns failed (see above); make replay tries them again.`);
    if (broken > 0) console.error(`${broken} rows were left out (see above).`);
    const violated = await auditShop({
      url: shop.databaseUrl("auditor"),
      env: shop.eventLogEnvironment,
      windowSeconds: 60,
      say: console.error,
      quiet: true,
    });
    if (violated > 0) console.error(`${violated} invariants are violated (see above, and make audit).`);
    if (failed + differences.length + broken + violated > 0) process.exitCode = exitCodes.somethingLeftOut;
    for (const line of linesOf(totals)) console.log(line);
  } catch (error) {
    if (!stop.aborted) throw error;
    console.error(`Stopped. Go on with: make replay CSV=${file}`);
    process.exitCode = exitCodes.stopped;
  } finally {
    await Promise.all([killing?.stop(), staff.close(), ledgers.close()]);
  }
});
