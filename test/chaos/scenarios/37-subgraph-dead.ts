import { scenario } from "../scenario.ts";

const look = `query Look($number: String!) { order(number: $number) { number status shipments { id } } }`;

export default scenario({
  number: 37,
  name: "subgraph-dead",
  fault: "one subgraph dead",
  hypothesis:
    "Without one service the graph answers what the others know, says what is missing, and no money is half moved.",
  expectation: "partial data; no half-done money",
  async run({
    processes,
    request,
    place,
    persist,
    shopper,
    articles,
    staff,
    inject,
    heal,
    fired,
    expect,
    lasts,
    load,
  }) {
    const known = load.acknowledged[0]!.number;
    await inject("fulfillment is stopped", () => processes.stop("fulfillment", "SIGKILL"));
    const { data, errors } = await request(look, { number: known }, await staff());
    expect("the order is there", data?.order?.number === known, data);
    expect("its parcels are not", data?.order?.shipments === null);
    const codes = (errors ?? []).map(({ extensions }) => extensions?.code);
    expect("an error says so", codes.length === 1 && codes[0] === "SUBGRAPH_UNAVAILABLE", codes);
    fired(codes.length, "the gateway answers for fulfillment");
    await lasts(20);
    const placed = await persist(async () => place(await shopper(), articles));
    expect("orders are accepted", placed.__typename === "OrderPlaced", placed.__typename);
    await heal("fulfillment is back", () => processes.start("fulfillment"));

    const before = load.acknowledged.length;
    await inject("payments is stopped", () => processes.stop("payments", "SIGKILL"));
    await lasts(20);
    expect(
      "orders are accepted without payments",
      load.acknowledged.length > before,
      load.acknowledged.length - before,
    );
    await heal("payments is back", () => processes.start("payments"));
  },
});
