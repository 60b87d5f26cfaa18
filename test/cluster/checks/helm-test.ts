import { check, expect } from "../check.ts";
import { isHelm3 } from "../helm-version.ts";
import { laptopMiB } from "../installation.ts";
import { watchWorkingSets } from "../working-set.ts";

const promisedSeconds = 60;

export default check({
  name: "helm-test",
  shows: "helm test buys something inside the cluster",
  seconds: 150,
  async run({ shop, cluster, say }) {
    const sampling = await watchWorkingSets(cluster, {
      ...{ namespace: shop.namespace, promisedMiB: laptopMiB },
      what: `${shop.namespace}, during helm test`,
    });
    const beganMs = performance.now();
    const said = await shop
      .helm(["test", shop.release, "--logs", "--timeout", "2m"])
      .finally(() => void sampling.end());
    const seconds = (performance.now() - beganMs) / 1_000;
    const timeline = said.split("\n").filter((text) => /^\s+\d\d:\d\d:\d\d/.test(text));
    for (const entry of timeline) say(entry.trim());
    expect(`it takes less than ${promisedSeconds} s`, seconds < promisedSeconds, `${seconds.toFixed(1)} s`);
    expect("it sees the order confirmed", /confirmed/i.test(said), said.slice(-500));
    expect("it prints the timeline", timeline.length > 0, said.slice(-500));
    if (await isHelm3(shop)) await shop.kubectl(["delete", "pod", "purchase"]);
    return `confirmed within ${seconds.toFixed(1)} s`;
  },
});
