import { callsOf, keysAt, operationKinds, traceCalls, untilResolved } from "../provider-calls.ts";
import { scenario } from "../scenario.ts";

const ofEach = 4;
const places = [
  {
    point: "provider-api.before-execute",
    calls: /^POST(( GET)+ POST)+$/,
    what: "what was not done is looked up, then asked for again",
  },
  {
    point: "provider-api.after-execute",
    calls: /^POST( GET)+$/,
    what: "what was done is looked up, and not asked for again",
  },
] as const;

export default scenario({
  number: 11,
  name: "provider-answers-500",
  fault: "provider answers 500",
  hypothesis:
    "A 500 says nothing of the money: the operation is looked up, and asked for again only if it was not done.",
  expectation: "looked up first, then retried",
  async run(world) {
    const { points, inject, heal, fired, expect, until } = world;
    await traceCalls(world);
    for (const { point, calls, what } of places) {
      await inject(`the provider answers 500 at ${point}`, () =>
        points.set(
          "provider",
          operationKinds.map((match) => ({ point, action: "error", match, times: ofEach })),
        ),
      );
      const all = operationKinds.length * ofEach;
      await until(`the answers at ${point}`, () => points.fired(point, "provider") === all, 60);
      await heal("the provider answers again");
      fired(points.fired(point, "provider"), `${point} in the log of the provider`);
      const keys = keysAt(world, point);
      await untilResolved(world, keys);
      const otherwise = (await callsOf(world, keys)).filter((made) => !calls.test(made));
      expect(what, otherwise.length === 0, otherwise);
    }
  },
});
