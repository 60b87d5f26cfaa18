/** A shop's event log, whichever it is, for tools that look at it from outside. */
import { groupLags } from "@crowdcrunch/auditor/group-lags";
import type { GroupLag } from "@crowdcrunch/auditor/group-lags";
import { readConfig } from "@crowdcrunch/kit/config";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { createLogger } from "@crowdcrunch/kit/logger";
import { eventLogVariables } from "@crowdcrunch/kit/variables";
import { Pool } from "pg";
import Type from "typebox";
import type { ShopAddresses } from "./processes.ts";

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
    lags: () => groupLags(eventLog),
    async close() {
      await eventLog.close();
      await pool.end();
    },
  };
}
