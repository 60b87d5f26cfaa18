import { dieInTurn } from "../deaths.ts";
import { scenario } from "../scenario.ts";

export default scenario({
  number: 8,
  name: "killed-before-provider",
  fault: "killed before the provider call",
  hypothesis: "An operation that was decided and never asked for is asked for later, under the same key.",
  expectation: "made later, same key",
  async run(world) {
    const deaths = await dieInTurn(world, [
      ["payments", "provider.before-call", ":AUTHORIZE:"],
      ["payments", "provider.before-call", ":CAPTURE:"],
      ["payments", "provider.before-call", ":VOID:"],
    ]);
    world.fired(deaths, "provider.before-call in the log of payments");
  },
});
