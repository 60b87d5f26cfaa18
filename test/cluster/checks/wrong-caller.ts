import { check, expect } from "../check.ts";
import { askFrom } from "../outsider.ts";

/** Who asks whom without being one of its callers, and whom it may ask. */
const wrong = [
  { from: "customers", target: "http://orders:4004/graphql" },
  { from: "orders", target: "http://payments:4005/graphql" },
  { from: "frontend", target: "http://provider:4010/v1/operations/none" },
] as const;

export default check({
  name: "wrong-caller",
  shows: "a service of the shop that is not among the callers of another is refused by it",
  needs: "mesh",
  seconds: 60,
  async run({ shop }) {
    const allowed = [
      await askFrom((command) => shop.exec("gateway", command), "http://orders:4004/graphql"),
      await askFrom((command) => shop.exec("payments", command), "http://provider:4010/v1/operations/none"),
    ];
    expect(
      "callers are let in",
      allowed.every((answer) => /^HTTP (?!403)/.test(answer)),
      allowed,
    );
    const answers = [];
    for (const { from, target } of wrong) {
      const answer = await askFrom((command) => shop.exec(from, command), target);
      expect(`${from} is refused by ${target}`, answer.startsWith("HTTP 403 RBAC"), answer);
      answers.push(`${from} → ${new URL(target).host}`);
    }
    // The gateway calls orders, and nothing there but its graph.
    const path = await askFrom((command) => shop.exec("gateway", command), "http://orders:4104/metrics");
    expect("another port of orders is not the gateway's", /^(refused|HTTP 403)/.test(path), path);
    // Neither has the simulated provider anything to do with the broker, nor the other way round.
    const [reader, stranger] = await Promise.all(
      ["orders", "provider"].map((from) => askFrom((command) => shop.exec(from, command), "tcp://kafka:9092")),
    );
    expect("orders reaches the broker", reader!.startsWith("answered"), reader);
    expect("the provider does not", stranger!.startsWith("refused"), stranger);
    return `403 for ${answers.join(", ")}; ${allowed.join(" and ")} for those who may; the provider is cut off from the broker`;
  },
});
