import { judgeBooks } from "../books.ts";
import { check, expect } from "../check.ts";

/** One pod of each of these, one after the other. */
const victims = ["orders", "payments", "inventory", "fulfillment", "frontend", "provider", "gateway"];

export default check({
  name: "kill",
  shows: "pods are killed while shoppers buy, and no order is lost or doubled",
  seconds: 300,
  async run(world) {
    const { shop, say, until } = world;
    const { load, graph, end } = await shop.startLoad({ perSecond: 4, patienceMs: 120_000 });
    await until("the first orders", async () => load.acknowledged.length >= 10, 60);
    for (const name of victims) {
      const [pod] = await shop.pods(`app.kubernetes.io/name=${name}`);
      const before = load.acknowledged.length;
      await shop.kubectl(["delete", "pod", pod!.metadata.name, "--grace-period=0", "--force", "--wait=false"]);
      await until(
        `another pod of ${name}`,
        async () => {
          const pods = await shop.pods(`app.kubernetes.io/name=${name}`);
          const isReady = ({ status }: (typeof pods)[number]) =>
            status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
          return pods.length > 0 && pods.every((one) => one.metadata.uid !== pod!.metadata.uid && isReady(one));
        },
        90,
      );
      await until(`orders after ${name}`, async () => load.acknowledged.length >= before + 8, 60);
      say(
        `${name} was killed and is back; ${load.acknowledged.length} orders, ${graph.failed.length} requests were asked again`,
      );
    }
    await end();
    expect("every purchase comes to its end", load.failures.length === 0, load.failures.slice(0, 3));
    return `${victims.length} pods killed, ${graph.failed.length} of ${graph.asked()} requests had to be asked again; ${await judgeBooks(shop, world)}`;
  },
});
