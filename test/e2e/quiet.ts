import { groupLags } from "@crowdcrunch/auditor/group-lags";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { openLog } from "@crowdcrunch/auditor/log";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { createLogger } from "@crowdcrunch/kit/logger";
import type { Pool } from "pg";
import { until } from "./whole-shop.ts";
import type { WholeShop } from "./whole-shop.ts";

/**
 * How many events, operations at the provider, parcels of the simulated carrier and downloads are on their way; what
 * waits for a person is not. `books` is the database and `eventLog` either log, both as the auditor.
 * Throws where one of them does not answer.
 */
export async function countUnderWay(books: Pool, eventLog: EventLog): Promise<number> {
  const { rows } = await books.query<{ under_way: number }>(underWay);
  const lags = await groupLags(eventLog);
  return lags.reduce((sum, { events }) => sum + events, rows[0]!.under_way);
}

/** Waits until nothing is on its way any more. Throws after half a minute. */
export async function untilQuiet({ shop, books }: WholeShop): Promise<void> {
  const log = createLogger({ service: "test", level: "silent" });
  const eventLog = await openLog({ url: shop.databaseUrl("auditor"), env: shop.eventLogEnvironment, log });
  let calm = 0;
  try {
    // More than once: what a consumer has just read is in no table for a moment.
    await until("quiet", async () => {
      calm = (await countUnderWay(books, eventLog)) === 0 ? calm + 1 : 0;
      return calm === 3;
    });
  } finally {
    await eventLog.close();
  }
}

const underWay = `SELECT (
  ${services.map((service) => `(SELECT count(*) FROM ${service}.outbox) + (SELECT count(*) FROM ${service}.waiting)`).join(" + ")}
  + (SELECT count(*) FROM orders.orders WHERE awaits_stock)
  + (SELECT count(*) FROM payments.operations WHERE status IN ('PENDING', 'UNKNOWN'))
  + (SELECT count(*) FROM fulfillment.shipments WHERE status IN ('TO_PACK', 'DISPATCHED'))
  + (SELECT count(*) FROM fulfillment.digital_deliveries WHERE status IN ('TO_SEND', 'SENDING'))
)::int AS under_way`;
