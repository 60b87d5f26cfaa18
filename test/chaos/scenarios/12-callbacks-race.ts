import { paymentAuthorized, paymentCaptured, paymentVoided } from "@crowdcrunch/events/payments";
import { keysAt, operationKinds, untilResolved } from "../provider-calls.ts";
import { scenario } from "../scenario.ts";

const point = "provider-api.callback";
/** Before the reply, twice beside it so that they race, and a second after it. */
const moments = [{ action: "before" }, { action: "twice" }, { action: "late", delayMs: 1_000 }] as const;
const ofEach = 4;
const settling: string[] = [paymentAuthorized.type, paymentCaptured.type, paymentVoided.type];

export default scenario({
  number: 12,
  name: "callbacks-race",
  fault: "provider callback before, after, twice, racing the reply",
  hypothesis: "However often and whenever the provider tells an outcome, it is stored once and told once.",
  expectation: "one transition",
  async run(world) {
    const { points, inject, heal, fired, expect, until, link, lasts } = world;
    const before = (await link("provider", "gateway").counts()).opened;
    let expected = 0;
    for (const moment of moments) {
      await inject(`callbacks come ${moment.action}`, () =>
        points.set(
          "provider",
          operationKinds.map((match) => ({ point, match, times: ofEach, ...moment })),
        ),
      );
      expected += operationKinds.length * ofEach;
      await until(`${expected} operations called back`, () => points.fired(point, "provider") === expected, 60);
    }
    await untilResolved(world, keysAt(world, point));
    // The last of them are a second late.
    await lasts(2);
    fired(expected, `${point} in the log of the provider`);
    const { opened } = await link("provider", "gateway").counts();
    expect("the provider connected to the gateway", opened > before, opened - before);
    const refused = points.logged("provider", "callback could not be delivered");
    expect("every callback was answered", refused === 0, refused);
    const untaken = points.logged("provider", "the shop did not take a callback");
    expect("every callback was taken, and most changed nothing", untaken === 0, untaken);
    await heal("no more than what the reply could not tell is called back");
  },
  async afterQuiet(world) {
    const keys = keysAt(world, point);
    const payments = new Set(keys.map((key) => key.split(":")[0]));
    const told = new Map<string, Set<string>>();
    for await (const { id, type, data } of (await world.eventLogAs("payments")).read("payments")) {
      const { paymentId, attempt, captureSequence = attempt } = data as Record<string, string>;
      if (!settling.includes(type) || !payments.has(paymentId)) continue;
      const outcome = `${type} ${paymentId} ${captureSequence}`;
      told.set(outcome, (told.get(outcome) ?? new Set()).add(id));
    }
    const twice = [...told].filter(([, ids]) => ids.size > 1).map(([outcome]) => outcome);
    world.expect("each outcome is told", told.size >= keys.length, `${told.size} of ${payments.size} payments`);
    world.expect("no outcome is told twice", twice.length === 0, twice);
  },
});
