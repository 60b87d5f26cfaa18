import { untilRolledOut } from "@crowdcrunch/tools/cluster/rollout";
import { judgeBooks } from "../books.ts";
import { check, expect } from "../check.ts";
import { valuesOf } from "../installation.ts";

export default check({
  name: "reinstall",
  shows: "a new installation finds the data of the one before, and goes on with them",
  seconds: 300,
  async run(world) {
    const { shop, cluster, mesh, releases, until } = world;
    const { helm, namespace, acknowledged } = shop;
    const token = await shop.token({ roles: ["STAFF"] });
    await helm(["uninstall", shop.release, "--ignore-not-found", "--wait", "--timeout", "2m"]);
    await until("the end of all pods", async () => (await shop.pods()).length === 0, 60);
    await helm(["install", shop.release, releases.thisRelease, ...valuesOf(mesh)]);
    await untilRolledOut(cluster, namespace, { timeoutMs: 240_000 });
    const graph = shop.openGraph();
    const query = `query Kept { orders(first: 1) { nodes { number } } }`;
    // A token of before: the keys are the same.
    const kept = await until("an order of before", async () => (await graph.ask(query, {}, token)).orders.nodes[0], 60);
    expect("there is an order of before", kept !== undefined);
    const known = acknowledged.length;
    const { load, end } = await shop.startLoad({
      shoppers: 4,
      perSecond: 2,
      atOnce: 50,
      placingAtOnce: 4,
      patienceMs: 90_000,
    });
    await until("new orders", async () => load.acknowledged.length >= 10, 60);
    await end();
    expect("every purchase comes to its end", load.failures.length === 0, load.failures.slice(0, 3));
    return `${known} orders of before are there, ${load.acknowledged.length} are new, an old token is taken; ${await judgeBooks(shop, world)}`;
  },
});
