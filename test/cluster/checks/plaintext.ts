import { check, expect } from "../check.ts";
import { outsideNamespace } from "../installation.ts";
import { askFrom, runOutsider } from "../outsider.ts";

export default check({
  name: "plaintext",
  shows: "who speaks without the mesh's identity is refused, also at the database and the broker",
  needs: "mesh",
  seconds: 120,
  async run(world) {
    const { shop, cluster } = world;
    await world.makeNamespace(outsideNamespace, {});
    const outsider = await runOutsider(cluster, { namespace: outsideNamespace, like: shop });
    // The same question from inside is answered: what is refused is who asks, not what.
    const allowed = await askFrom((command) => shop.exec("gateway", command), "http://orders:4004/graphql");
    expect("the gateway reaches orders", allowed.startsWith("HTTP"), allowed);
    const at = (host: string) => `${host}.${shop.namespace}.svc.cluster.local`;
    const targets = [
      `http://${at("orders")}:4004/graphql`,
      `http://${at("gateway")}:4000/graphql`,
      `http://${at("payments")}:4005/`,
    ];
    for (const target of [...targets, `tcp://${at("postgres")}:5432`, `tcp://${at("kafka")}:9092`]) {
      const answer = await askFrom(outsider.exec, target);
      expect(`${target} refuses plaintext`, answer.startsWith("refused"), answer);
    }
    return `${targets.length} services, Postgres and Kafka cut the connection; from the gateway orders answers ${allowed}`;
  },
});
