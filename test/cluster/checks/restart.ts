import { judgeBooks } from "../books.ts";
import { check, expect } from "../check.ts";

const stores = ["kafka", "postgres"];

export default check({
  name: "restart",
  shows: "the pods of Postgres and Kafka restart while shoppers buy; the audit inside finds all that was acknowledged",
  seconds: 300,
  async run(world) {
    const { shop, say, until } = world;
    const { load, graph, end } = await shop.startLoad({ perSecond: 3, patienceMs: 150_000 });
    await until("the first orders", async () => load.acknowledged.length >= 10, 60);
    for (const name of stores) {
      const [pod] = await shop.pods(`app.kubernetes.io/name=${name}`);
      const beganMs = performance.now();
      await shop.kubectl(["delete", "pod", pod!.metadata.name, "--timeout=90s"], { timeoutMs: 100_000 });
      await until(
        `another pod of ${name}`,
        async () =>
          (await shop.pods(`app.kubernetes.io/name=${name}`)).some(
            ({ metadata }) => metadata.uid !== pod!.metadata.uid,
          ),
        60,
      );
      await shop.untilReady();
      const before = load.acknowledged.length;
      await until(`orders after ${name}`, async () => load.acknowledged.length >= before + 10, 90);
      say(
        `${name} was away and is back after ${((performance.now() - beganMs) / 1_000).toFixed(0)} s; ${graph.failed.length} requests were asked again`,
      );
    }
    await end();
    expect("every purchase comes to its end", load.failures.length === 0, load.failures.slice(0, 3));
    return `${stores.join(" and ")} restarted, ${graph.failed.length} of ${graph.asked()} requests had to be asked again; ${await judgeBooks(shop, world)}`;
  },
});
