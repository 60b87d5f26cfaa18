/** A shop's event log, whichever it is, for tools that look at it from outside. */
import { handledTypes } from "@crowdcrunch/auditor/handled";
import { readConfig } from "@crowdcrunch/kit/config";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { Pool } from "pg";
import Type from "typebox";
import type { ShopAddresses } from "./processes.ts";

/** How many events of a topic a group has not handled yet. */
export interface GroupLag {
  group: string;
  topic: string;
  events: number;
}

export interface ShopLog {
  /** Each group with each topic that it reads. Throws where the log does not answer. */
  lags(): Promise<GroupLag[]>;
  close(): Promise<void>;
}

/** Opens the log of a shop; nothing is connected before it is asked. */
export async function openShopLog(shop: ShopAddresses): Promise<ShopLog> {
  const databaseUrl = shop.databaseUrl("auditor");
  const pool = new Pool({ connectionString: databaseUrl, max: 1 });
  pool.on("error", () => {});
  const log = createLogger({ service: "tools", level: "silent" });
  const config = readConfig(Type.Object(eventLogVariables), shop.eventLogEnvironment);
  const eventLog = await openEventLog({ config, service: "auditor", log, pool, databaseUrl });
  return {
    async lags() {
      const ofGroups = Object.entries(handledTypes).map(async ([group, types]) => {
        const topics = [...new Set(types.map((type) => type.split(".")[0]!))];
        const events = new Map(topics.map((topic) => [topic, 0]));
        for (const { topic, committed, end } of await eventLog.lag(group, topics))
          events.set(topic, events.get(topic)! + Math.max(0, end - committed));
        return [...events].map(([topic, count]) => ({ group, topic, events: count }));
      });
      return (await Promise.all(ofGroups)).flat();
    },
    async close() {
      await eventLog.close();
      await pool.end();
    },
  };
}
