import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { EventLog } from "../eventlog.ts";
import { createListKeeper } from "./list-keeper.ts";
import type { ListKeeper } from "./list-keeper.ts";
import { recordLog } from "./log-lines.ts";
import { until } from "./service.ts";

/** The tables that a service's own backup has: all but what it counts and the log itself. */
export const backedUpTables = ["entries", "inbox", "log_positions", "outbox", "waiting", "parked", "incidents"];

async function backUp(keeper: ListKeeper): Promise<void> {
  await keeper.ask("DROP SCHEMA IF EXISTS backup CASCADE; CREATE SCHEMA backup");
  for (const table of backedUpTables) await keeper.ask(`CREATE TABLE backup.${table} AS SELECT * FROM ${table}`);
}

/** Puts the service's schema back to the backup; the event log and its offsets are another's and go on. */
async function restore(keeper: ListKeeper): Promise<void> {
  await keeper.ask(`TRUNCATE ${backedUpTables.join(", ")}`);
  for (const table of backedUpTables) {
    await keeper.ask(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM backup.${table}`);
  }
}

async function rewinds(keeper: ListKeeper): Promise<number> {
  const values = (await keeper.metrics.counter("crowdcrunch_consumer_rewinds_total", "").get()).values;
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** What a consumer must do whose database is put back to an earlier point while the log and its offsets go on. */
export function describeRestoredDatabases(name: string, openLog?: (service: string) => Promise<EventLog>): void {
  describe(name, () => {
    let keeper: ListKeeper;
    beforeAll(async () => {
      keeper = await createListKeeper(openLog);
    });
    afterAll(() => keeper.close());
    afterEach(() => keeper.stop());

    test("a database that was restored to an earlier point notices, reads again and catches up, each event once", async () => {
      await keeper.start();
      const lists = Array.from({ length: 12 }, (_, index) => `list-${index}`);
      await keeper.publish(...lists.map((list) => keeper.add(list, "a")));
      await keeper.settled();
      await keeper.stop();
      await backUp(keeper);

      await keeper.start();
      await keeper.publish(...lists.map((list) => keeper.add(list, "b")));
      await keeper.settled();
      keeper.refused.add("poison");
      await keeper.publish(keeper.add("list-0", "poison"), ...lists.map((list) => keeper.add(list, "c")));
      await keeper.settled();
      expect(await keeper.parked("list-0")).toEqual(["poison", "c"]);
      await keeper.stop();
      expect(await rewinds(keeper)).toBe(0);

      await restore(keeper);
      expect(await keeper.entries("list-1")).toEqual(["a"]);
      const { log, lines } = recordLog();
      await keeper.start({ log });
      // Its group has committed all, and nothing new comes to wake it.
      const all = "SELECT FROM entries WHERE list LIKE 'list-%'";
      await until(async () => (await keeper.ask(all)).length === 12 + 12 + 11, "the restored database to catch up");
      await until(async () => (await keeper.parked("list-0")).length === 2, "the parked events");
      for (const list of lists.slice(1)) expect(await keeper.entries(list)).toEqual(["a", "b", "c"]);
      expect(await keeper.entries("list-0")).toEqual(["a", "b"]);
      expect(await keeper.openIncidents("list-0")).toHaveLength(1);
      expect(await rewinds(keeper)).toBeGreaterThanOrEqual(2);
      expect(lines.filter(({ msg }) => /stands before what its group has committed/.test(msg)).length).toBe(
        await rewinds(keeper),
      );

      // And it goes on as if nothing had been, also when it starts again.
      const count = await rewinds(keeper);
      await keeper.stop();
      await keeper.start();
      await keeper.publish(keeper.add("list-1", "d"));
      await keeper.settled();
      expect(await keeper.entries("list-1")).toEqual(["a", "b", "c", "d"]);
      expect(await rewinds(keeper)).toBe(count);
    });

    test("a database that was lost and made anew begins with the earliest event", async () => {
      await keeper.start();
      await keeper.publish(keeper.add("lost", "a"), keeper.add("lost", "b"));
      await keeper.settled();
      await keeper.stop();
      await keeper.ask(`TRUNCATE ${backedUpTables.join(", ")}; INSERT INTO log_positions VALUES ('', '', 0, 0)`);
      await keeper.start();
      await until(async () => (await keeper.entries("lost")).length === 2, "the events of the past");
    });
  });
}
