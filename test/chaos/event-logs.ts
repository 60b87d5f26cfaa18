import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import { eventLogVariablesOfTools } from "@crowdcrunch/tools/kafka/shop-kafka";
import type { KafkaChoice } from "@crowdcrunch/tools/kafka/shop-kafka";
import type { RunningShop } from "@crowdcrunch/tools/shop";
import { Pool } from "pg";

/** The shop's event log from outside, past all links. */
export interface EventLogs {
  /** As a service: what it may append, this one may. */
  as(service: string): Promise<EventLog>;
  /** Where the log is, as variables. */
  env: Record<string, string>;
  close(): Promise<void>;
}

export function openLogs(shop: RunningShop, kafka: KafkaChoice): EventLogs {
  const env = eventLogVariablesOfTools(kafka, shop);
  const opened = new Map<string, Promise<EventLog>>();
  const ends: (() => Promise<void>)[] = [];

  async function open(service: string): Promise<EventLog> {
    const databaseUrl = shop.databaseUrl(service);
    const pool = new Pool({ connectionString: databaseUrl, max: 2 });
    // Postgres may be killed under it.
    pool.on("error", () => {});
    const eventLog = await openEventLog({
      config: {
        ...(env["KAFKA_BROKERS"] ? { KAFKA_BROKERS: env["KAFKA_BROKERS"] } : {}),
        KAFKA_PREFIX: env["KAFKA_PREFIX"] ?? "",
        KAFKA_CREATE_TOPICS: false,
        KAFKA_TLS: false,
      },
      ...{ service, pool, databaseUrl, log: createLogger({ service: "chaos", level: "silent" }) },
    });
    ends.push(async () => {
      await eventLog.close();
      await pool.end();
    });
    return eventLog;
  }

  function as(service: string): Promise<EventLog> {
    const found = opened.get(service) ?? open(service);
    opened.set(service, found);
    return found;
  }

  return {
    as,
    env,
    async close() {
      for (const end of ends) await end().catch(() => {});
    },
  };
}
