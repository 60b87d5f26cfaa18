import { keepAsking } from "../../chaos/asking.ts";
import { judgeBooks, parkedOf } from "../books.ts";
import { check, expect } from "../check.ts";
import { metricOf, sumOf } from "../metrics.ts";
import { newColumn, newEvent, newTimelineEntry } from "../next-release.ts";
import type { Shop } from "../shop.ts";

const leastRequests = 5_000;
const rollMs = 300_000;

/** Publishes the event of the new version. */
const publisher = "fulfillment";
/**
 * So many at a time, so that a machine of two cores can start them beside those that serve. Whoever handles an event of a
 * new version is there before whoever publishes it, and back it goes the other way round.
 */
const waves = [
  ["orders", "users", "auditor"],
  ["customers", "inventory", "payments"],
  ["exchanges", "frontend", "provider"],
  ["gateway"],
  [publisher],
];

/** What shoppers look at besides buying, of several services at once. */
const browse = `query Browse { products(first: 5) { nodes { name skus { availability price { amountMinor } } } } shippingMethods { code } }`;
const begin = "mutation Begin { startGuestSession { __typename } }";

export default check({
  name: "upgrade",
  shows: "the next release comes and goes again while shoppers buy, and no request fails",
  seconds: 720,
  async run(world) {
    const { shop, releases, say, until } = world;
    const { release, helm } = shop;
    const { load, graph, end } = await shop.startLoad({ perSecond: 3, patienceMs: 120_000 });
    const asking = keepAsking(100, [() => graph.ask(browse), () => graph.ask(begin)]);
    await until("the first orders", async () => load.acknowledged.length >= 10, 60);
    const revision = async () =>
      (JSON.parse(await helm(["history", release, "-o", "json"])) as { revision: number }[]).at(-1)!.revision;
    const roll = async (wave: readonly string[], args: string[]) => {
      const beganMs = performance.now();
      await helm([...args, "--timeout", "5m"]);
      await shop.untilReady(rollMs);
      say(
        `${args[0]} of ${wave.join(", ")}: ${((performance.now() - beganMs) / 1_000).toFixed(0)} s; ${graph.asked()} requests, ${graph.failed.length} failed`,
      );
    };
    const revisions = [await revision()];
    for (const [index, wave] of waves.entries()) {
      const held = waves.slice(index + 1).flat();
      const tags = waves
        .flat()
        .flatMap((name) => ["--set", `${name}.image.tag=${held.includes(name) ? releases.thisTag : ""}`]);
      await roll(wave, ["upgrade", release, releases.nextRelease, "--reset-then-reuse-values", ...tags]);
      revisions.push(await revision());
    }
    await until(
      "what the new version tells, in a timeline",
      async () => (await timelineOf(shop, load.acknowledged.at(-1)!.number)).includes(newTimelineEntry),
      60,
    );
    const handled = await handledByOrders(shop);
    expect("orders handles the new version", handled > 0);

    for (const [index, wave] of [...waves.entries()].reverse()) {
      await roll(wave, ["rollback", release, String(revisions[index])]);
      if (!wave.includes(publisher)) continue;
      await until("the end of what it has published", async () => {
        const before = load.acknowledged.length;
        await until("two more orders", async () => load.acknowledged.length >= before + 2, 30);
        return !(await timelineOf(shop, load.acknowledged.at(-1)!.number)).includes(newTimelineEntry);
      });
    }
    const before = load.acknowledged.length;
    await until("orders after it", async () => load.acknowledged.length >= before + 10, 60);
    await until(`${leastRequests} requests`, async () => graph.asked() >= leastRequests, 300);
    await asking.end();
    await end();

    const column = `SELECT count(*)::int AS count FROM ${newColumn.table} WHERE ${newColumn.column} IS NOT NULL`;
    const rows = await shop.withBooks(async (books) => {
      const parked = await parkedOf(books);
      expect("no event is parked", parked.length === 0, parked.slice(0, 5));
      return (await books.query<{ count: number }>(column)).rows[0]!.count;
    });
    expect("the column is there and has values, also by those who do not know it", rows > 0, rows);
    expect("no request has failed", graph.failed.length === 0, [graph.failed.length, ...graph.failed.slice(0, 5)]);
    expect("every purchase comes to its end", load.failures.length === 0, load.failures.slice(0, 3));
    const verdict = await judgeBooks(shop, world);
    return `${releases.thisTag} → ${releases.nextTag} → ${releases.thisTag}: ${graph.failed.length} of ${graph.asked()} requests failed, ${handled} events of the new version handled, 0 parked; ${verdict}`;
  },
});

/** What an order's timeline has, as staff see it. */
async function timelineOf(shop: Shop, number: string): Promise<string[]> {
  const graph = shop.openGraph({ connections: 1 });
  const query = `query Timeline($number: String!) { order(number: $number) { timeline { what } } }`;
  const { order } = await graph.ask(query, { number }, await shop.token({ roles: ["STAFF"] }));
  await graph.close();
  return (order.timeline as { what: string }[]).map(({ what }) => what);
}

/** How many events of the new version orders has handled since it was started, by its own count. */
async function handledByOrders(shop: Shop): Promise<number> {
  const handled = await metricOf(
    shop,
    { of: "deploy/orders", container: "orders" },
    "crowdcrunch_events_handled_total",
  );
  return sumOf(new Map([...handled].filter(([labels]) => labels.includes(`"${newEvent}"`))));
}
