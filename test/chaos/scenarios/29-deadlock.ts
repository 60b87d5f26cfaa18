import { Client } from "pg";
import { scenario } from "../scenario.ts";

const again = '"msg":"transaction is tried again"';
const rounds = 3;
/** Whoever waits in a circle for so long is the victim: Postgres' deadlock_timeout. */
const victimSeconds = 5;

export default scenario({
  number: 29,
  name: "deadlock",
  fault: "deadlock, serialization failure",
  hypothesis: "Whom Postgres takes out of a conflict tries again, a few times, and no purchase comes to harm.",
  expectation: "bounded retry",
  async run({ shop, processes, points, inject, heal, fired, expect, until, count, articles, books }) {
    const [low, high] = articles
      .slice(0, 2)
      .map(({ skuId }) => skuId)
      .sort();
    const session = new Client({ connectionString: shop.databaseUrl("inventory"), application_name: "opponent" });
    session.on("error", () => {});
    await session.connect();
    const deadlocks = () => count("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    const parked = () => count("SELECT count(*) FROM inventory.parked");
    const lock = (skuId: string | undefined) =>
      session.query("SELECT FROM stock WHERE sku_id = $1 ORDER BY location_id FOR UPDATE", [skuId]);
    /** Sessions of inventory that wait for this one; the auditor sees no waits, the same role does. */
    const waiters = async () => {
      const waiting =
        "SELECT count(*)::int AS count FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))";
      return (await session.query<{ count: number }>(waiting)).rows[0]!.count;
    };
    /** Begins a transaction that holds the later of two articles, and waits until inventory, which has the earlier, wants it. */
    const stand = async () => {
      await session.query("BEGIN");
      await lock(high);
      await until("inventory at the locked stock", waiters);
    };

    try {
      await session.query("SET lock_timeout = 0");
      const before = await deadlocks();
      for (let round = 0; round < rounds; round++) {
        const triedBefore = points.logged("inventory", again);
        await inject("a session locks stock against the order of inventory", async () => {
          await stand();
          // Which of the two Postgres takes out is its choice; mostly the one that waited first.
          await lock(low).then(
            () => session.query("COMMIT"),
            () => session.query("ROLLBACK"),
          );
        });
        await until(
          "inventory trying again",
          () => points.logged("inventory", again) > triedBefore,
          victimSeconds,
        ).catch(() => {});
      }
      await until("the count of deadlocks", async () => (await deadlocks()) > before);
      fired((await deadlocks()) - before, "pg_stat_database.deadlocks");
      const tried = points.logged("inventory", '"code":"40P01"');
      expect("inventory was taken out, and tried again", tried > 0, tried);
      await heal("nobody locks against the order");

      // READ COMMITTED knows no serialization failures, and no service asks for more: so Postgres is told to isolate
      // inventory's transactions as strictly as it can, as somebody might who has a database to share.
      const plan = shop.planned.find(({ name }) => name === "inventory")!;
      const strict = new URL(plan.env["DATABASE_URL"]!);
      strict.searchParams.set("options", "-c default_transaction_isolation=serializable");
      await inject("inventory's transactions are isolated strictly", () =>
        processes.restart("inventory", { DATABASE_URL: strict.href }),
      );
      await until("more orders with stock", async () => {
        await session.query("BEGIN; SET LOCAL lock_timeout = '5s'");
        await lock(high);
        await session.query("UPDATE stock SET on_hand = on_hand WHERE sku_id = $1", [high]);
        await until("inventory at the locked stock", waiters, 10).catch(() => {});
        await session.query("COMMIT");
        return points.logged("inventory", '"code":"40001"') > 2;
      });
      fired(points.logged("postgres", "could not serialize access"), "serialization failures in the log of Postgres");
      await heal("inventory's transactions are as planned", () => processes.restart("inventory"));
      expect(
        "nothing is parked",
        (await parked()) === 0,
        (await books.query("SELECT reason FROM inventory.parked")).rows,
      );
    } finally {
      await session.end().catch(() => {});
    }
  },
});
