import { Client } from "pg";
import { openFullDisk } from "../full-disk.ts";
import { scenario } from "../scenario.ts";

/** More log than Postgres has files for, which it would otherwise use up over hours. */
const mostSwitches = 100;

export default scenario({
  number: 31,
  name: "disk-full",
  fault: "disk full (database)",
  hypothesis:
    "A full disk stops sales and loses none: what was acknowledged is there, and what was not can be asked again.",
  expectation: "writes refused; no acknowledged loss",
  needs: "cc",
  async run({ shop, processes, points, inject, heal, fired, expect, lasts, until, request, load, count }) {
    const disk = openFullDisk(shop.varDir);
    const more = (what: string, purchases: number) => {
      const acknowledged = load.acknowledged.length;
      return until(what, () => load.acknowledged.length >= acknowledged + purchases, 60);
    };
    await inject("Postgres is started on a disk that can be filled", () => processes.restart("postgres", disk.env));
    await more("purchases on that disk", 10);
    expect("nothing is refused while there is room", disk.refusals() === 0, disk.refusals());

    const repeats = load.repeats();
    try {
      await inject("the disk is full", () => disk.fill());
      await until("a refusal", () => disk.refusals() > 0);
      await lasts(30);
      const { data } = await request("{ categories { id } }");
      expect("reading goes on", Array.isArray(data?.categories));
      await until("shoppers who are told to ask again", () => load.repeats() > repeats);
      await heal("there is room", () => disk.free());
      fired(points.logged("postgres", "No space left on device"), "refusals in the log of Postgres");
      await more("purchases once there is room", 10);

      // Without room for its write-ahead log Postgres ends itself, and cannot start before there is some.
      const crashes = points.logged("postgres", "PANIC");
      await inject("the disk is full, and the write-ahead log needs another file", async () => {
        disk.fill();
        await useUpLog(shop.databaseUrl("postgres"));
      });
      await until("the end of Postgres for want of room", () => points.logged("postgres", "PANIC") > crashes);
      await lasts(10);
      await heal("there is room again", async () => {
        disk.free();
        await until("Postgres", () => count("SELECT 1"));
      });
      await more("purchases after crash recovery", 20);
    } finally {
      disk.free();
    }
    fired(disk.refusals(), "refusals of the full disk");
    expect("shoppers were told to ask again", load.repeats() > repeats, `${load.repeats() - repeats} repeats`);
  },
});

/** Has Postgres go from one file of its write-ahead log to the next until there is none. */
async function useUpLog(url: string): Promise<void> {
  const session = new Client({ connectionString: url });
  session.on("error", () => {});
  try {
    await session.connect();
    for (let switched = 0; switched < mostSwitches; switched++) {
      await session.query("SELECT pg_logical_emit_message(false, 'disk-full', 'x')");
      await session.query("SELECT pg_switch_wal()");
    }
  } catch {
    // The server has gone down under it, which is what it was for.
  } finally {
    await session.end().catch(() => {});
  }
}
