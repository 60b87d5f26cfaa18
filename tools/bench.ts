/**
 * `make bench`: closed-loop shoppers through the gateway of shops of its own, in separate processes with fsync on.
 * Purchases are CONFIRMED when the order says so on being asked, first after 50 ms and then every 30: what live updates tell
 * is held back for up to 50 ms to come together, and would add itself to the figure.
 *
 * - On the embedded log and on Kafka, side by side: LOGS=embedded|kafka|both, KAFKA=1 for Kafka alone. BENCH_SECONDS (per
 *   stretch, 15), BENCH_REPEATS (3) and BENCH_SHOPPERS (1,8,32) change how long it takes.
 * - GROWTH=300000: the same shop with 1,000 orders stored, and with so many.
 * - SOAK=15: so many minutes of 8 shoppers, and what memory and tables look like afterwards.
 *
 * The last two are on the embedded log unless KAFKA=1 or LOGS=kafka says otherwise. Prints tables and writes
 * var/bench.json; the invariants are checked afterwards. BENCH_PROFILE=1 leaves a processor profile of each process in
 * var/bench/<log>/profile, to be opened in a browser's developer tools, and prints the statements that cost most.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { chosenOrders, measureGrowth } from "./bench/growth.ts";
import { chosenLogs } from "./bench/logs.ts";
import { measurePurchases } from "./bench/purchases.ts";
import { chosenMinutes, measureSoak } from "./bench/soak.ts";
import { Problem, main, shopPlace } from "./environment.ts";

const { env } = process;

/** A positive number from the environment. */
function numberOf(name: string, byDefault: number): number {
  const value = Number(env[name] || byDefault);
  if (!(value > 0 && value < Infinity)) throw new Problem(`${name} is "${env[name]}"; it must be a number above 0.`);
  return value;
}

function shopperCounts(byDefault: string): number[] {
  const counts = (env.BENCH_SHOPPERS || byDefault).split(",").map(Number);
  if (!counts.every((count) => Number.isInteger(count) && count >= 1 && count <= 64))
    throw new Problem(`BENCH_SHOPPERS is "${env.BENCH_SHOPPERS}"; it must be numbers of 1 to 64, such as 1,8,32.`);
  return counts;
}

await main(async () => {
  const own = shopPlace();
  const place = { varDir: join(own.varDir, "bench"), portOffset: own.portOffset + 700 };
  const orders = env.GROWTH ? chosenOrders(env.GROWTH) : undefined;
  const minutes = env.SOAK ? chosenMinutes(env.SOAK) : undefined;
  if (orders && minutes) throw new Problem("GROWTH and SOAK are measured one at a time.");
  const seconds = numberOf("BENCH_SECONDS", 15);
  const repeats = numberOf("BENCH_REPEATS", 3);
  const isOnOne = orders !== undefined || minutes !== undefined;
  const logs = await chosenLogs(env, isOnOne ? "embedded" : "both");
  rmSync(place.varDir, { recursive: true, force: true });
  mkdirSync(place.varDir, { recursive: true });

  console.log(
    `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}; driver and Postgres on the same cores, fsync on`,
  );
  const [log] = logs as [(typeof logs)[number]];
  const result = orders
    ? await measureGrowth(orders, { place, log, seconds, repeats, shopperCounts: shopperCounts("8,32") })
    : minutes
      ? await measureSoak(minutes, { place, log })
      : await measureBoth();
  writeFileSync(
    join(own.varDir, "bench.json"),
    `${JSON.stringify(
      {
        machine: {
          cpu: cpus()[0]?.model,
          cores: cpus().length,
          memoryGiB: Math.round(totalmem() / 2 ** 30),
          node: process.version,
        },
        confirmedSeenBy: "polling the order through the gateway, first after 50 ms, then every 30 ms",
        ...result,
      },
      null,
      2,
    )}\n`,
  );

  async function measureBoth(): Promise<object> {
    const results = await measurePurchases({
      ...{ place, logs, seconds, repeats },
      shopperCounts: shopperCounts("1,8,32"),
      profiling: env.BENCH_PROFILE === "1",
    });
    if (Object.values(results).some(({ violations }) => violations > 0)) process.exitCode = 1;
    return { seconds, repeats, logs: results };
  }
});
