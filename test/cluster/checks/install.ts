import { istioNamespace, loopbackUrl } from "@crowdcrunch/tools/cluster/istio";
import { untilRolledOut } from "@crowdcrunch/tools/cluster/rollout";
import { check, expect } from "../check.ts";
import { mainNamespace, release, valuesOf } from "../installation.ts";
import { openClusterShop } from "../shop.ts";

const promisedMinutes = 5;

export default check({
  name: "install",
  shows: "helm install gives a running shop, in the mesh where there is one",
  seconds: 420,
  async run(world) {
    const { cluster, mesh, releases, say, until, driverLog } = world;
    await world.makeNamespace(mainNamespace, mesh ? { "istio-injection": "enabled" } : {});
    const beganMs = performance.now();
    await cluster.helm(["install", release, releases.thisRelease, "-n", mainNamespace, ...valuesOf(mesh)]);
    await untilRolledOut(cluster, mainNamespace, {
      timeoutMs: 360_000,
      progress: ({ ready, wanted, unready }) =>
        say(`${ready} of ${wanted} ready${unready.length > 0 ? `; ${unready[0]!.name} ${unready[0]!.why}` : ""}`),
    });
    const url = await until("an address on 127.0.0.1", () =>
      mesh
        ? loopbackUrl(cluster, { namespace: istioNamespace, name: "istio-ingressgateway", port: "http2" })
        : loopbackUrl(cluster, { namespace: mainNamespace, name: "gateway", port: "http" }),
    );
    const shop = openClusterShop({ cluster, namespace: mainNamespace, release, url, driverLog });
    world.open(shop);
    // The catalogue goes by events to those who show and price it.
    const graph = shop.openGraph();
    const nodes = await until(
      "the catalogue",
      async () => {
        const { products } = await graph.ask("query Goods { products(first: 5) { nodes { name } } }");
        return products.nodes.length > 0 ? products.nodes.length : undefined;
      },
      60,
    );
    const minutes = (performance.now() - beganMs) / 60_000;
    expect(`it takes less than ${promisedMinutes} minutes`, minutes < promisedMinutes, `${minutes.toFixed(1)} minutes`);
    const pods = await shop.pods();
    if (mesh) {
      const bare = pods.filter(
        ({ status }) => !status.initContainerStatuses?.some(({ name }) => name === "istio-proxy"),
      );
      expect(
        "each pod has a sidecar",
        bare.length === 0,
        bare.map(({ metadata }) => metadata.name),
      );
    }
    return `${pods.length} pods, answering at ${url} after ${(minutes * 60).toFixed(0)} s, ${nodes} products on its first page`;
  },
});
