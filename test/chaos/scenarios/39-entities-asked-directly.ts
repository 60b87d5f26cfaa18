import { randomUUID } from "node:crypto";
import { scenario } from "../scenario.ts";

const query = `query Steal($representations: [_Any!]!) { _entities(representations: $representations) { ... on Order { id number status } } }`;
const pay = `mutation Pay($input: PayOrderInput!) { payOrder(input: $input) { __typename } }`;

export default scenario({
  number: 39,
  name: "entities-asked-directly",
  fault: "`_entities` asked of a subgraph directly",
  hypothesis: "The gateway is not the lock: who asks a service past it sees and moves no more than through it.",
  expectation: "owner check still holds",
  async run({ inject, heal, fired, expect, post, shopper, load, lasts, until }) {
    const thief = await shopper();
    let [hidden, asked] = [0, 0];
    const seen: unknown[] = [];
    for (let round = 0; round < 6; round++) {
      const victims = load.acknowledged.slice(-20);
      const representations = victims.flatMap(({ id, number }) => [
        { __typename: "Order", id },
        { __typename: "Order", number },
      ]);
      await inject(`${representations.length} orders of others are asked of orders itself`, async () => {
        for (const token of ["", thief.token]) {
          const { data, status } = await post({ query, variables: { representations } }, { service: "orders", token });
          asked += representations.length;
          const orders = (data?._entities ?? representations.map(() => null)) as unknown[];
          hidden += orders.filter((order) => order === null).length;
          seen.push(...orders.filter((order) => order !== null).map((order) => ({ status, order })));
        }
      });
      const input = {
        number: victims[0]!.number,
        idempotencyKey: randomUUID(),
        paymentMethod: { token: "tok_ok" },
      };
      const { data } = await post({ query: pay, variables: { input } }, { service: "orders", token: thief.token });
      expect("nobody pays for another's order", data?.payOrder?.__typename === "NotFound", data);
      await lasts(1);
    }
    fired(hidden, "orders that the service did not show");
    expect("none was shown", seen.length === 0 && hidden === asked, seen.slice(0, 3));
    await heal("no more of it");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
