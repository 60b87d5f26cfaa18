import { scenario } from "../scenario.ts";

const many = (count: number, part: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => part(index)).join(" ");
const deep = (levels: number): string =>
  levels === 0 ? "__typename" : `product(id: "x") { skus { ${deep(levels - 1)} } }`;

/** Each asks for more than anybody needs, in its own way. */
const attacks: Record<string, unknown> = {
  deep: { query: `{ ${deep(40)} }` },
  aliased: { query: `{ ${many(500, (at) => `a${at}: __typename`)} }` },
  "many mutations": { query: `mutation { ${many(20, (at) => `a${at}: startGuestSession { __typename }`)} }` },
  batched: many(200, () => ".")
    .split(" ")
    .map(() => ({ query: "{ __typename }" })),
  "fragments that double": {
    query: `{ ...f0 } ${many(30, (at) => `fragment f${at} on Query { ...f${at + 1} ...f${at + 1} }`)} fragment f30 on Query { __typename }`,
  },
  "many tokens": { query: `{ ${many(20_000, (at) => `a${at}`)} }` },
  huge: { query: "{ __typename }", variables: { text: "x".repeat(300_000) } },
};
const rounds = 12;

export default scenario({
  number: 38,
  name: "huge-queries",
  fault: "deep, aliased, batched, huge queries",
  hypothesis: "What asks for too much is refused before it is planned, so that shoppers do not notice.",
  expectation: "refused before planning",
  async run({ inject, heal, fired, expect, post, lasts, until, load, processes }) {
    const pid = processes.pidOf("gateway");
    const letIn: string[] = [];
    let refused = 0;
    for (let round = 0; round < rounds; round++) {
      await inject(`${Object.keys(attacks).length} kinds of queries that are too large`, async () => {
        for (const [name, body] of Object.entries(attacks)) {
          const { status, data } = await post(body);
          if (data === undefined && status >= 400 && status < 500) refused += 1;
          else letIn.push(`${name}: ${status}`);
        }
      });
      await lasts(0.5);
    }
    fired(refused, "refusals by the gateway");
    expect("all are refused", letIn.length === 0, letIn.slice(0, 5));
    expect("the gateway is the same process", processes.pidOf("gateway") === pid);
    await heal("no more of them");
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 10);
  },
});
