import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 9,
  name: "killed-at-provider",
  fault: "killed during or after the provider call",
  hypothesis: "Where nobody heard the provider's answer the operation is looked up, not made again.",
  expectation: "UNKNOWN, then resolved; one charge",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["payments", "provider.during-call", ":AUTHORIZE:"],
      ["payments", "provider.after-call", ":AUTHORIZE:"],
      ["payments", "provider.during-call", ":CAPTURE:"],
      ["payments", "provider.after-call", ":CAPTURE:"],
    ]);
    world.fired(deaths, "provider.during-call and provider.after-call in the log of payments");
  },
  async afterQuiet({ expect, count }) {
    const unknown = await count("SELECT count(*) FROM payments.operations WHERE status IN ('PENDING', 'UNKNOWN')");
    expect("every outcome is known", unknown === 0, unknown);
  },
});
