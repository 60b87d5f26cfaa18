import type { FaultPoint } from "@crowdcrunch/kit/faults";
import { scenario } from "../scenario.ts";

/** Who is stopped, and what is slow meanwhile: shoppers ask the first and the last, events the others. */
const victims: [name: string, slow: FaultPoint][] = [
  ["orders", "graphql.request"],
  ["payments", "consumer.in-handler"],
  ["inventory", "consumer.in-handler"],
  ["gateway", "graphql.request"],
];

export default scenario({
  number: 43,
  name: "stopped-then-killed",
  fault: "SIGTERM with work in flight, then SIGKILL",
  hypothesis:
    "Who is asked to stop ends what it has begun; who is killed while it does loses nothing that it has answered.",
  expectation: "drains; else as 5–9",
  async run({ processes, points, inject, heal, fired, expect, until, load }) {
    let drained = 0;
    for (const [victim, slow] of victims) {
      await inject(`${victim} is asked to stop`, () => processes.stop(victim));
      drained += points.logged(victim, '"msg":"stopped"');
      await heal(`${victim} is back`, () => processes.start(victim));

      // What is slow on purpose is under way for certain when the kill comes.
      await points.set(victim, [{ point: slow, action: "delay", delayMs: 3_000, rate: 0.3 }]);
      const before = points.fired(slow, victim);
      await until(`slow work at ${victim}`, () => points.fired(slow, victim) > before);
      await inject(`${victim} is asked to stop, and killed while it drains`, async () => {
        process.kill(processes.pidOf(victim), "SIGTERM");
        await new Promise((resolve) => setTimeout(resolve, 300));
        await processes.kill(victim);
      });
      await heal(`${victim} is back`);
      const acknowledged = load.acknowledged.length;
      await until("more purchases", () => load.acknowledged.length > acknowledged + 5);
    }
    fired(drained, "processes that drained and said so");
    expect("each drained when it was let", drained === victims.length, drained);
  },
});
