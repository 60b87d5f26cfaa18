import { memoryOf } from "@crowdcrunch/tools/memory";
import { services } from "@crowdcrunch/tools/processes";
import { scenario } from "../scenario.ts";

const mostGrowthBytes = 96 * 1024 * 1024;

export default scenario({
  number: 15,
  name: "broker-slow",
  fault: "broker slow (2 s)",
  hypothesis: "Behind a slow broker events come late, groups keep their members, and no process hoards what waits.",
  expectation: "bounded memory; no rebalance storm",
  needs: "kafka",
  async run({ broker, link, processes, inject, heal, fired, expect, lasts, load }) {
    const toBroker = link("shop", "broker");
    const memory = () => services.map(({ name }) => memoryOf(processes.pidOf(name)) ?? 0);
    const before = { ...(await toBroker.counts()), rebalances: broker.rebalances(), memory: memory() };
    const acknowledged = load.acknowledged.length;
    await inject("an answer of the broker takes 2 s", () => toBroker.set({ delayMs: 1_000 }));
    const seconds = await lasts(60);
    fired((await toBroker.counts()).heldBack - before.heldBack, "portions that the link to the broker held back");
    const accepted = load.acknowledged.length - acknowledged;
    expect("orders are accepted", accepted > 5 * seconds, `${accepted} in ${seconds} s`);
    const growth = memory().map((bytes, index) => bytes - before.memory[index]!);
    const megabytes = growth.map((bytes) => Math.round(bytes / 1024 / 1024));
    expect("bounded memory", Math.max(...growth) < mostGrowthBytes, `MiB more: ${megabytes.join(", ")}`);
    // One of each group is bad luck; in a storm each would share anew every few seconds.
    const rebalances = broker.rebalances() - before.rebalances;
    expect("the broker's log tells of rebalances", before.rebalances > 0, `${before.rebalances} before`);
    expect("no rebalance storm", rebalances <= services.length, `${rebalances} rebalances`);
    await heal("the broker answers at once", () => toBroker.set({}));
  },
});
