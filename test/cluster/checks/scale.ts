import { judgeBooks } from "../books.ts";
import { check, expect } from "../check.ts";
import { metricOf, sumOf } from "../metrics.ts";

/** What is scaled, and the count by which each of its pods shows that it has work. */
const scaled = [
  { name: "gateway", work: "crowdcrunch_gateway_requests_total", of: "requests" },
  { name: "orders", work: "crowdcrunch_events_handled_total", of: "events" },
];

export default check({
  name: "scale",
  shows: "gateway and orders run three times and once again while shoppers buy, and no request fails",
  seconds: 300,
  async run(world) {
    const { shop, say, until } = world;
    const { load, graph, end } = await shop.startLoad({ perSecond: 3, patienceMs: 120_000 });
    await until("the first orders", async () => load.acknowledged.length >= 5, 60);
    const scale = async (replicas: number) => {
      await shop.kubectl(["scale", ...scaled.map(({ name }) => `deployment/${name}`), `--replicas=${replicas}`]);
      await shop.untilReady();
      const before = load.acknowledged.length;
      await until(`orders on ${replicas}`, async () => load.acknowledged.length >= before + 15, 60);
    };
    await scale(3);
    const counts: string[] = [];
    for (const { name, work, of } of scaled) {
      const pods = await shop.pods(`app.kubernetes.io/name=${name}`);
      expect(`${name} runs three times`, pods.length === 3, pods.length);
      const busy = [];
      for (const { metadata } of pods)
        busy.push(sumOf(await metricOf(shop, { of: metadata.name, container: name }, work)));
      expect(
        `each pod of ${name} works`,
        busy.every((count) => count > 0),
        busy,
      );
      counts.push(`${name} ${busy.join(" + ")} ${of}`);
    }
    say(`work by pod: ${counts.join(", ")}`);
    await scale(1);
    await end();
    expect("no request has failed", graph.failed.length === 0, [graph.failed.length, ...graph.failed.slice(0, 5)]);
    return `${graph.asked()} requests, 0 failed; by pod: ${counts.join(", ")}; ${await judgeBooks(shop, world)}`;
  },
});
