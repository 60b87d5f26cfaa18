import { operatorToken } from "@crowdcrunch/tools/operator";
import { scenario } from "../scenario.ts";

/** Who falls behind, and behind what: frontend shows what inventory can tell again. */
const [reader, topic] = ["frontend", "inventory"];

export default scenario({
  number: 24,
  name: "offset-out-of-range",
  fault: "offset out of range",
  hypothesis:
    "A reader whose next events retention has taken stops and says so; it goes on when a person lets it read again what was published anew.",
  expectation: "loud stop and replay; never a jump to latest",
  needs: "kafka",
  async run(world) {
    const { broker, processes, points, eventLogAs, shop, graph, tell, staff, article } = world;
    const { inject, heal, fired, expect, count, lasts, until, load } = world;
    const { skuId, productId } = await article(1_000);
    const shown = `SELECT version FROM ${reader}.products WHERE product_id = $1`;
    await until("the article in the shop window", async () => (await count(shown, [productId])) > 0);
    await inject(`${reader} is stopped`, () => processes.stop(reader));
    await tell("setPrice", await staff(), { skuId, currency: "GBP", amountMinor: 4_711 });
    const newest = await count("SELECT version FROM inventory.products WHERE id = $1", [productId]);
    const known = "SELECT version FROM orders.catalogue_products WHERE product_id = $1";
    await until("the price in orders", async () => (await count(known, [productId])) === newest);
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 20);

    // What orders, the only other reader, has handled and committed can go without harm to others.
    const lags = await (await eventLogAs("orders")).lag("orders", [topic]);
    const below = new Map(lags.map(({ partition, committed }) => [partition, committed]));
    const removed = await inject(`retention takes events of ${topic} that ${reader} has not read`, () =>
      broker.trim(topic, below),
    );
    expect("events are gone", removed > 0, removed);
    const received = () => count(`SELECT count(*) FROM ${reader}.inbox`);
    const before = await received();
    const stops = () => points.logged(reader, "no event is consumed any more");
    await processes.start(reader);
    await until("a loud stop", () => stops() > 0);
    fired(stops(), `${reader} says that it reads nothing more`);
    await lasts(10);
    expect("it has read nothing", (await received()) === before, (await received()) - before);
    expect("it still shows the old price", (await count(shown, [productId])) < newest);

    const token = await operatorToken(shop.varDir, { roles: ["ADMIN"] });
    const { inventoryRepublish } = await graph.ask("mutation { inventoryRepublish { events } }", {}, token);
    const { frontendReadAgain } = await graph.ask("mutation { frontendReadAgain { events } }", {}, token);
    await heal("what inventory has was published again, and a person lets it be read");
    expect(
      "there is something to read again",
      frontendReadAgain.events >= inventoryRepublish.events,
      frontendReadAgain,
    );
    await until("the new price in the shop window", async () => (await count(shown, [productId])) === newest, 60);
  },
});
