/** Makes the roles, schemas and event log of a shop whose Postgres has just been started. Run by the supervisor. */
import { setTimeout as sleep } from "node:timers/promises";
import { bootstrap } from "@crowdcrunch/kit/bootstrap";
import { Client } from "pg";
import { Problem, main, shopPlace } from "./environment.ts";
import { checkEventLog } from "./going-over.ts";
import { rememberKafka } from "./kafka/shop-kafka.ts";
import type { KafkaChoice } from "./kafka/shop-kafka.ts";
import { databaseName, provider, services, shopAddresses } from "./processes.ts";

const patienceMs = 60_000;

/** Resolves once Postgres answers; it replays its log first where it was killed. */
async function untilPostgresAnswers(url: string): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const client = new Client({ connectionString: url, application_name: "bootstrap" });
    // Ended by the server while it starts up: the next round asks again.
    client.on("error", () => {});
    try {
      await client.connect();
      return await client.end();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "28P01") {
        throw new Problem(
          "Postgres refuses the password in secrets/secrets.json: data and secrets are not of one shop.",
        );
      }
      if (performance.now() > giveUpAt) throw error;
      await sleep(50);
    }
  }
}

await main(async () => {
  const shop = await shopAddresses(shopPlace());
  const adminUrl = shop.databaseUrl("postgres", "postgres");
  await untilPostgresAnswers(adminUrl);
  const credentials = ({ name }: { name: string }) => ({
    name,
    password: shop.secrets.passwords[name]!,
    ownerPassword: shop.secrets.passwords[`${name}_owner`]!,
  });
  await bootstrap({
    adminUrl,
    database: databaseName,
    services: services.map(credentials),
    provider: credentials(provider),
    gatewayPassword: shop.secrets.passwords["gateway"]!,
    auditorPassword: shop.secrets.passwords["auditor"]!,
  });
  const kafka = JSON.parse(process.env.SHOP_KAFKA ?? "false") as KafkaChoice;
  await checkEventLog(shop.databaseUrl("postgres"), kafka);
  rememberKafka(shop.varDir, kafka);
});
