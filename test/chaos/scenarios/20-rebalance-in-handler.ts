import { scenario } from "../scenario.ts";

const point = "consumer.in-handler";

export default scenario({
  number: 20,
  name: "rebalance-in-handler",
  fault: "rebalance during a handler (two replicas)",
  hypothesis: "What two replicas have in their hands at once, because partitions moved meanwhile, has its effect once.",
  expectation: "no double effect",
  async run({ points, processes, inject, heal, fired, expect, load, until }) {
    for (let round = 0; round < 2; round++) {
      await points.set("orders", [{ point, action: "delay", delayMs: 1_500, rate: 0.5 }]);
      const held = points.fired(point, "orders");
      await until("a handler that is held", () => points.fired(point, "orders") > held);
      const replica = await inject("a second replica of orders joins while the first is in a handler", () =>
        processes.replicate("orders", { FAULTS: `${point}:delay:delayMs=1500,rate=0.5` }),
      );
      const held2 = points.fired(point, replica);
      await until("the replica in a handler", () => points.fired(point, replica) > held2, 60);
      await inject("the replica is killed in a handler", () => processes.stop(replica, "SIGKILL"));
      await points.set("orders", []);
      await heal("one replica is left, and nobody holds it");
      const acknowledged = load.acknowledged.length;
      await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
    }
    fired(points.fired(point, "orders"), `${point} in the log of orders`);
    fired(points.fired(point, "orders-2"), `${point} in the log of its replica`);
    expect("both had partitions", points.fired(point, "orders") > 0 && points.fired(point, "orders-2") > 0);
  },
});
