/**
 * `make import CSV=…`: articles, stock and customers of an Online Retail file, through the graph. What is there stays as
 * it is. Exit codes: 1 where rows were left out or the shop refused, 2 where the file cannot be used, 130 when stopped.
 */
import { shopPlace } from "./environment.ts";
import { exitCodes, planFile, retailMain } from "./retail/file.ts";
import { bringCustomers, bringProducts, coverSales, untilOrderable } from "./retail/importing.ts";
import { openLedgers } from "./retail/ledgers.ts";
import { startProgress } from "./retail/progress.ts";
import { runningShop } from "./retail/shop.ts";
import { openStaff } from "./retail/staff.ts";
import { stopOnInterrupt } from "./retail/stopping.ts";

const connections = 2;

await retailMain("import", process.env.CSV, async (file) => {
  const { plan, rows, broken } = await planFile(file, console.error);
  console.log(`${file}: ${rows} rows, ${plan.products.length} articles, ${plan.customers.length} customers.`);
  const shop = await runningShop(shopPlace());
  const stop = stopOnInterrupt();
  const staff = openStaff(shop, connections, stop);
  const ledgers = openLedgers(shop.databaseUrl("auditor"));
  const importing = { staff, ledgers, stop, progress: startProgress };
  try {
    const created = await bringProducts(importing, plan.products);
    const short = await coverSales(importing, plan);
    const added = await bringCustomers(importing, plan.customers);
    await untilOrderable(importing, plan);
    const received = short > 0 ? ` Short of stock, and received now: ${short}.` : "";
    console.log(`${created} articles and ${added} customers are new; the others were there.${received}`);
    console.log(`Its invoices become orders with: make replay CSV=${file}`);
  } catch (error) {
    if (!stop.aborted) throw error;
    console.error(`Stopped. Go on with: make import CSV=${file}`);
    process.exitCode = exitCodes.stopped;
    return;
  } finally {
    await Promise.all([staff.close(), ledgers.close()]);
  }
  if (broken > 0) {
    console.error(`${broken} rows were left out (see above).`);
    process.exitCode = exitCodes.somethingLeftOut;
  }
});
