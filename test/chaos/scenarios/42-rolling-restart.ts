import { keepAsking } from "../asking.ts";
import { scenario } from "../scenario.ts";

/** So many at a time, so that it takes no longer than a deployment should. */
const waves = [
  ["users", "customers", "inventory"],
  ["orders", "payments"],
  ["fulfillment", "exchanges", "frontend"],
  ["gateway"],
];

/** Of every service something. */
const everything = `query Everything($id: ID!, $number: String!) {
  me { id } customers(first: 1) { nodes { id } } returns(first: 1) { nodes { id } } cart { id } product(id: $id) { name }
  order(number: $number) { status shipments { id } payments { id } }
}`;

export default scenario({
  number: 42,
  name: "rolling-restart",
  fault: "rolling restart under load",
  hypothesis: "Where a second process takes over before the first one leaves, no shopper notices a restart.",
  expectation: "no failed request",
  // The restarts are load enough.
  perSecond: 6,
  async run({ processes, points, graph, tell, load, articles, inject, heal, fired, expect, staff, shopper, random }) {
    const [article, person, buyer] = [articles[0]!, await staff(), await shopper()];
    const known = { id: article.productId, number: load.acknowledged[0]!.number };
    const asking = keepAsking(50, [
      () => graph.ask(everything, known, person),
      () => graph.ask("mutation Begin { startGuestSession { __typename } }"),
      () => tell("setCartLine", buyer.token, { skuId: article.skuId, quantity: 1 + Math.floor(random() * 9) }),
    ]);
    const failedBefore = load.failedRequests.length;
    const all = waves.flat();
    const pids = new Map(all.map((name) => [name, processes.pidOf(name)]));
    for (const wave of waves)
      await inject(`${wave.join(", ")} are restarted, with a second process meanwhile`, () =>
        Promise.all(wave.map((name) => processes.rollingRestart(name))),
      );
    await asking.end();
    const failed = [...asking.failed, ...load.failedRequests.slice(failedBefore)];
    await heal("all have been restarted");
    const renewed = all.filter((name) => processes.pidOf(name) !== pids.get(name));
    const drained = [...renewed, ...renewed.map((name) => `${name}-2`)].filter(
      (name) => points.logged(name, '"msg":"stopped"') === 1,
    );
    fired(renewed.length, "processes with another pid");
    expect("each is another process", renewed.length === all.length, renewed);
    expect("each has said that it drained, and its replica too", drained.length === 2 * all.length, drained);
    expect("the client had answers all the time", asking.answered() > 100, asking.answered());
    expect("no request has failed", failed.length === 0, [failed.length, ...failed.slice(0, 5)]);
  },
});
