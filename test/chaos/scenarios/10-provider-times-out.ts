import { callsOf, keysAt, operationKinds, traceCalls, untilResolved } from "../provider-calls.ts";
import { scenario } from "../scenario.ts";

const point = "provider-api.after-execute";
const ofEach = 4;
const unknown = "SELECT count(*) FROM payments.operations WHERE status = 'UNKNOWN'";

export default scenario({
  number: 10,
  name: "provider-times-out",
  fault: "provider executes, then times out",
  hypothesis: "What the provider did without answering is looked up under its key, and is not done again.",
  expectation: "as 9: UNKNOWN, then resolved; one charge",
  env: { payments: { PROVIDER_TIMEOUT_MS: "800" } },
  async run(world) {
    const { points, inject, heal, fired, expect, until, count } = world;
    await traceCalls(world);
    await inject("the provider executes and does not answer", () =>
      points.set(
        "provider",
        operationKinds.map((match) => ({ point, action: "withhold", match, times: ofEach })),
      ),
    );
    let mostUnknown = 0;
    await until(
      "the answers that are withheld",
      async () => {
        mostUnknown = Math.max(mostUnknown, await count(unknown));
        return points.fired(point, "provider") === operationKinds.length * ofEach;
      },
      60,
    );
    await heal("the provider answers");
    fired(points.fired(point, "provider"), `${point} in the log of the provider`);

    const keys = keysAt(world, point);
    await until("UNKNOWN outcomes", async () => (mostUnknown = Math.max(mostUnknown, await count(unknown))) > 0);
    await untilResolved(world, keys);
    const otherwise = (await callsOf(world, keys)).filter((calls) => !/^POST( GET)+$/.test(calls));
    expect("each is asked for once, and looked up", otherwise.length === 0, otherwise);
  },
  async afterQuiet({ expect, count }) {
    expect("every outcome is known", (await count(unknown)) === 0);
  },
});
