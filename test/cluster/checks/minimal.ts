import { loopbackUrl } from "@crowdcrunch/tools/cluster/istio";
import { untilRolledOut } from "@crowdcrunch/tools/cluster/rollout";
import { auditOutside, judgeBooks } from "../books.ts";
import { check, expect } from "../check.ts";
import { eightShoppers } from "../eight-shoppers.ts";
import { minimalMiB, minimalNamespace, minimalValues } from "../installation.ts";
import { openClusterShop } from "../shop.ts";

/** The release and its namespace have names of their own, and the namespace refuses every pod that is not restricted. */
const release = "corner";

export default check({
  name: "minimal",
  shows: "the smallest profile runs without mesh and without Kafka, in a namespace that lets only restricted pods in",
  seconds: 480,
  async run(world) {
    const { cluster, releases, until, driverLog, say } = world;
    const namespace = minimalNamespace;
    await world.makeNamespace(namespace, {
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/enforce-version": "latest",
    });
    await cluster.helm(["install", release, releases.thisRelease, "-n", namespace, ...minimalValues()]);
    await untilRolledOut(cluster, namespace, { timeoutMs: 240_000 });
    const url = await until("an address on 127.0.0.1", () =>
      loopbackUrl(cluster, { namespace, name: "gateway", port: "http" }),
    );
    const shop = openClusterShop({ cluster, namespace, release, url, driverLog });
    try {
      const pods = await shop.pods();
      expect("there is no Kafka", !pods.some(({ metadata }) => metadata.name.startsWith("kafka")));
      await shop.helm(["test", release, "--timeout", "2m"]);
      say(`${pods.length} pods at ${url}, helm test has bought`);
      const figures = await eightShoppers(world, shop, {
        ...{ what: "values-min.yaml", promisedMiB: minimalMiB, seconds: 120 },
      });
      return `${pods.length} pods; ${figures}; ${await judgeBooks(shop, world, auditOutside)}`;
    } finally {
      await shop.close();
      await cluster.helm(["uninstall", release, "-n", namespace, "--wait", "--timeout", "2m"]).catch(() => {});
      await world.removeNamespace(namespace);
    }
  },
});
