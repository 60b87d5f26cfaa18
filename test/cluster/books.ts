import { auditShop } from "@crowdcrunch/auditor/audit";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { openLog } from "@crowdcrunch/auditor/log";
import { createLogger } from "@crowdcrunch/kit/logger";
import type { Pool } from "pg";
import { compare } from "../chaos/books.ts";
import { countUnderWay } from "../e2e/quiet.ts";
import { expect } from "./check.ts";
import type { Shop } from "./shop.ts";
import type { World } from "./world.ts";

const parkedEvents = services
  .map((service) => `SELECT '${service}' AS service, key FROM ${service}.parked`)
  .join(" UNION ALL ");

/** Events that no service could handle, as "orders: <key>". */
export async function parkedOf(books: Pool): Promise<string[]> {
  const { rows } = await books.query<{ service: string; key: string }>(parkedEvents);
  return rows.map(({ service, key }) => `${service}: ${key}`);
}

/**
 * Waits until nothing is on its way, compares what shoppers were told with the books, and has all checked that must always
 * hold, by the shop's own auditor where no other way is given. Throws with what is lost, doubled, parked or violated. Resolves to a sentence.
 */
export async function judgeBooks(
  shop: Shop,
  { until }: Pick<World, "until">,
  audit: (shop: Shop) => Promise<string> = auditInside,
): Promise<string> {
  await shop.withBooks(async (books, url) => {
    const log = createLogger({ service: "test", level: "silent" });
    const eventLog = await openLog({ url, env: {}, log });
    let quiet = 0;
    // Twice and more: what a consumer has just read is in no table for a moment.
    await until("quiet", async () => (quiet = (await countUnderWay(books, eventLog)) === 0 ? quiet + 1 : 0) >= 3, 60);
    await eventLog.close();
    const { lost, doubled } = await compare(books, shop.acknowledged, shop.shopperIds);
    expect("no acknowledged order is lost", lost.length === 0, lost.slice(0, 5));
    expect("none is doubled", doubled.length === 0, doubled.slice(0, 5));
    const parked = await parkedOf(books);
    expect("no event is parked", parked.length === 0, parked.slice(0, 5));
  });
  // What is on its way on the log, the auditor may still see for a moment.
  const said = await until("an audit without a finding", () => audit(shop), 60);
  return `${shop.acknowledged.length} acknowledged orders, none lost or doubled; ${said.trim().split("\n").at(-1)}`;
}

/** Has the auditor check once, with no time left to anything. Throws with its findings. */
async function auditInside(shop: Shop): Promise<string> {
  const told = shop.acknowledged.map((order) => `${JSON.stringify(order)}\n`).join("");
  const command = ["node", "auditor/src/once.ts", "WINDOW=0", "ACKNOWLEDGED=-"];
  return shop.exec("auditor", command, { input: told, timeoutMs: 60_000 });
}

/** The same from here, for a shop without auditor whose events are in its database. */
export async function auditOutside(shop: Shop): Promise<string> {
  const lines: string[] = [];
  const violated = await shop.withBooks((_, url) =>
    auditShop({ url, acknowledged: shop.acknowledged, windowSeconds: 0, say: (line) => lines.push(line), quiet: true }),
  );
  if (violated > 0) throw new Error(lines.join("\n"));
  return "All invariants hold.";
}
