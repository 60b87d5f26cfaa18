/**
 * `make drain`: lets a shop finish what is on its embedded event log, so that it can go over to Kafka. Starts the
 * services and the provider without the gateway, so that nothing new comes from outside; waits until every group has
 * caught up and every outbox is empty; stops them. Exits with 1 where one gets no further.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fullOutboxes } from "@crowdcrunch/kit/eventlog-postgres/going-over";
import { serviceNames } from "@crowdcrunch/shop/parts";
import { Client } from "pg";
import { Problem, main, shopPlace } from "./environment.ts";
import { groupsBehind } from "./going-over.ts";
import { provider, services } from "./processes.ts";
import { startShop, stopShop } from "./shop.ts";
import type { RunningShop } from "./shop.ts";

/** Without any progress for so long, waiting longer does not help. */
const patienceMs = 60_000;
const processes = [...services, provider].map(({ name }) => name as string);

/** What is left, in words; undefined where nothing is. */
async function left(database: Client): Promise<string | undefined> {
  const behind = await groupsBehind(database);
  const outboxes = await fullOutboxes(database, serviceNames);
  const parts = [
    ...behind.map(({ group, topic, events }) => `${group} has ${events} of ${topic} to handle`),
    ...outboxes.map(({ service, events }) => `${service} has ${events} to publish`),
  ];
  return parts.length > 0 ? parts.join(", ") : undefined;
}

/** Resolves when nothing is left; says whenever something has changed. */
async function untilNothingIsLeft(database: Client): Promise<void> {
  let said: string | undefined;
  let saidMs = performance.now();
  for (;;) {
    const now = await left(database);
    if (now === undefined) return;
    if (now !== said) {
      console.log(`  ${now}`);
      [said, saidMs] = [now, performance.now()];
    }
    if (performance.now() - saidMs > patienceMs) {
      const minutes = patienceMs / 60_000;
      throw new Problem(
        `Nothing has moved for ${minutes} min: ${now}. See make logs SERVICE=…, mend what is said there, and try again.`,
      );
    }
    await sleep(500);
  }
}

/** Ends services and provider, and nothing else; resolves when they have ended. */
async function endServices(shop: RunningShop): Promise<void> {
  const runs = (name: string) => {
    try {
      return shop.pidOf(name) > 0;
    } catch {
      return false;
    }
  };
  for (const stop of processes) shop.order({ stop, signal: "SIGTERM" });
  while (processes.some(runs)) await sleep(100);
}

await main(async () => {
  const place = shopPlace();
  console.log("Starting the services on the embedded event log, without the gateway …");
  const shop = await startShop({ ...place, processes, say: console.log });
  const database = new Client({ connectionString: shop.databaseUrl("postgres") });
  database.on("error", () => {});
  try {
    await database.connect();
    for (;;) {
      await untilNothingIsLeft(database);
      // The last thing a service did may have been to publish.
      await endServices(shop);
      if ((await left(database)) === undefined) break;
      for (const start of processes) shop.order({ start });
      await shop.untilReady();
    }
  } finally {
    await database.end().catch(() => {});
    await stopShop(place);
  }
  console.log("Every group has handled all of the embedded event log: the shop can go over, with make up KAFKA=1.");
});
