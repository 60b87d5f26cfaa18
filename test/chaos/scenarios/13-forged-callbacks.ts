import { keysAt, operationKinds, untilResolved } from "../provider-calls.ts";
import { scenario } from "../scenario.ts";

const point = "provider-api.callback";
const ofEach = 5;
const lies = [
  { action: "forged", status: 401, logged: "a callback without the provider's signature is refused" },
  { action: "other-amount", status: 422, logged: "an outcome is rejected" },
] as const;

export default scenario({
  number: 13,
  name: "forged-callbacks",
  fault: "forged callback, or one with another amount",
  hypothesis: "A callback that the provider did not sign, or that says another amount, moves nothing and is seen.",
  expectation: "rejected, logged",
  async run(world) {
    const { points, inject, heal, fired, expect, until, count } = world;
    const all = operationKinds.length * ofEach;
    for (const { action, status, logged } of lies) {
      const before = {
        fired: points.fired(point, "provider"),
        refused: points.logged("provider", `"status":${status}`),
      };
      // They go out before the reply, so that they would be believed first.
      await inject(`callbacks are ${action}`, () =>
        points.set(
          "provider",
          operationKinds.map((match) => ({ point, action, match, times: ofEach })),
        ),
      );
      await until(`${all} callbacks`, () => points.fired(point, "provider") - before.fired === all, 60);
      await untilResolved(world, keysAt(world, point));
      const refused = points.logged("provider", `"status":${status}`) - before.refused;
      expect(`each is answered ${status}`, refused === all, refused);
      fired(points.logged("payments", logged), `"${logged}" in the log of payments`);
      expect("each is logged", points.logged("payments", logged) === all, points.logged("payments", logged));
    }
    await heal("no more of them");
    const incidents = await count(
      "SELECT count(*) FROM payments.incidents WHERE kind = 'OUTCOME_REJECTED' AND subject = ANY($1)",
      [keysAt(world, point)],
    );
    expect("staff are told of each other amount", incidents === all, incidents);
  },
});
