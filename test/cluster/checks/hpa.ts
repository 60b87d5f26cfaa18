import type { Condition } from "@crowdcrunch/tools/cluster/objects";
import { keepAsking } from "../../chaos/asking.ts";
import { check, expect } from "../check.ts";
import { isHelm3 } from "../helm-version.ts";

const most = 3;
/** So many clients, who ask one thing after the other without a pause. */
const clients = 6;
const browse = `query Browse { products(first: 20) { nodes { name description skus { availability price { amountMinor } } } } }`;

interface Autoscaler {
  status: {
    desiredReplicas: number;
    currentMetrics?: { containerResource?: { current: { averageUtilization?: number } } }[];
    conditions?: Condition[];
  };
}

export default check({
  name: "hpa",
  shows: "load makes the autoscaler add gateways, and these get work",
  seconds: 300,
  async run({ shop, cluster, releases, say, until }) {
    const upgrade = (settings: string[], ...more: string[]) =>
      shop.helm([
        ...["upgrade", shop.release, releases.thisRelease, "--reset-then-reuse-values", ...more],
        ...settings.flatMap((one) => ["--set", `gateway.autoscaling.${one}`]),
      ]);
    await upgrade(["enabled=true", "minReplicas=1", `maxReplicas=${most}`]);
    const look = () => cluster.json<Autoscaler>(["get", "hpa", "gateway", "-n", shop.namespace]);
    const utilization = ({ status }: Autoscaler) =>
      status.currentMetrics?.[0]?.containerResource?.current.averageUtilization;
    const idle = await until("the autoscaler's first figure", async () => utilization(await look()), 90);
    say(`idle: ${idle} % of the requested CPU`);
    const graph = shop.openGraph({ connections: clients });
    const asking = keepAsking(
      0,
      Array.from({ length: clients }, () => () => graph.ask(browse)),
    );
    const beganMs = performance.now();
    const busy = await until(
      "more gateways",
      async () => {
        const seen = await look();
        return seen.status.desiredReplicas > 1 ? seen : undefined;
      },
      120,
    );
    await shop.untilReady();
    const seconds = (performance.now() - beganMs) / 1_000;
    const pods = await shop.pods("app.kubernetes.io/name=gateway");
    expect("there are more pods", pods.length > 1, pods.length);
    await asking.end();
    // Takes back a number of replicas that the autoscaler has set.
    await upgrade(["enabled=false"], ...((await isHelm3(shop)) ? [] : ["--force-conflicts"]));
    await shop.untilReady();
    return `${idle} % idle, ${utilization(busy)} % by ${clients} clients (${asking.answered()} answers): ${pods.length} gateways ready after ${seconds.toFixed(0)} s; off again`;
  },
});
