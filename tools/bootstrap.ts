/** Makes the roles, schemas and event log of a shop whose Postgres has just been started. Run by the supervisor. */
import { untilPostgresAnswers } from "@crowdcrunch/kit/await-postgres";
import { bootstrap } from "@crowdcrunch/kit/bootstrap";
import { checkEventLog } from "@crowdcrunch/kit/eventlog-postgres/going-over";
import { bootstrapOptions, serviceNames as services } from "@crowdcrunch/shop/parts";
import { main, shopPlace } from "./environment.ts";
import { rememberKafka } from "./kafka/shop-kafka.ts";
import type { KafkaChoice } from "./kafka/shop-kafka.ts";
import { databaseName, shopAddresses } from "./processes.ts";

await main(async () => {
  const shop = await shopAddresses(shopPlace());
  const adminUrl = shop.databaseUrl("postgres", "postgres");
  await untilPostgresAnswers({
    url: adminUrl,
    refused: "Postgres refuses the password in secrets/secrets.json: data and secrets are not of one shop.",
    patienceMs: 60_000,
  });
  const passwordOf = (role: string) => shop.secrets.passwords[role]!;
  await bootstrap(bootstrapOptions({ adminUrl, database: databaseName, services, passwordOf }));
  const kafka = JSON.parse(process.env.SHOP_KAFKA ?? "false") as KafkaChoice;
  await checkEventLog({
    url: shop.databaseUrl("postgres"),
    kafka: kafka !== false,
    services,
    waysOut: {
      kafka: "Start it with make up KAFKA=1, or with KAFKA_BROKERS=…",
      outboxes: "make drain waits for them.",
    },
  });
  rememberKafka(shop.varDir, kafka);
});
