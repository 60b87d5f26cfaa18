import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { kafkaProgramMissing } from "@crowdcrunch/tools/kafka/program";
import { startShop, stopShop } from "@crowdcrunch/tools/shop";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopAudited } from "./audited.ts";
import { liveTests } from "./live.ts";
import { openPurchases } from "./purchases.ts";
import { openShop, startAgain, until } from "./whole-shop.ts";
import type { Article, Shopper, WholeShop } from "./whole-shop.ts";

const portOffset = 26_500;
/** Each test starts two shops, in ms. */
const timeout = 300_000;

/** Runs `make drain` for the shop in this folder. */
async function drain(varDir: string): Promise<{ code: number | null; out: string }> {
  const script = fileURLToPath(import.meta.resolve("@crowdcrunch/tools/drain"));
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, CROWDCRUNCH_VAR: varDir, PORT_OFFSET: String(portOffset) },
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (out += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out };
}

const missing = kafkaProgramMissing();
describe.skipIf(missing !== undefined)("a shop that goes over to Kafka", () => {
  let varDir: string;
  let ada: Shopper;
  let mug: Article;
  let left: string;
  let world: WholeShop | undefined;
  beforeAll(() => {
    varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-shop-"));
  });
  afterAll(async () => {
    try {
      // Somebody fetches the parcels that are left.
      if (world) await startAgain(world, "fulfillment", { CARRIER_SIMULATOR: "true", CARRIER_DELAY_MS: "0" });
      await stopAudited(world);
    } finally {
      await stopShop({ varDir });
      rmSync(varDir, { recursive: true });
    }
  }, 120_000);

  test("does not while the embedded log has events for somebody", { timeout }, async () => {
    const processes = ["inventory", "orders", "payments", "gateway"];
    const embedded = await openShop({ varDir, portOffset, processes });
    const { place } = openPurchases(embedded);
    [ada, mug] = [await embedded.shopper(), await embedded.article(5)];
    // The one who takes the money is away, so that the order stays where it is.
    embedded.shop.order({ stop: "payments", signal: "SIGTERM" });
    const answer = await place(ada, [mug]);
    left = answer["order"].number as string;
    // The graph cannot answer without payments.
    await until("the wait for the payment", async () => {
      const { rows } = await embedded.books.query(
        `SELECT FROM orders.orders WHERE number = $1 AND status = 'AWAITING_PAYMENT' AND NOT EXISTS (SELECT FROM orders.outbox)`,
        [left],
      );
      return rows.length === 1;
    });
    await embedded.stop();
    await expect(startShop({ varDir, portOffset, kafka: true })).rejects.toThrow(
      /events left to handle: .*payments \(\d+ of orders\)/u,
    );
    await stopShop({ varDir });
  });

  test("can do so after make drain, and finishes there what was under way", { timeout }, async () => {
    const { code, out } = await drain(varDir);
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringContaining("the shop can go over, with make up KAFKA=1"),
    });

    world = await openShop({ varDir, portOffset, kafka: true });
    const { buy, reach, dispatch, act, stockOf, sendOneBack, see } = openPurchases(world);
    const before = await reach(left, ada, "CONFIRMED");
    const book = await world.download();
    const bought = await buy(ada, [mug, book], "CONFIRMED");
    for (const { number } of [before, bought]) {
      await dispatch(number);
      const [parcel] = (await see(number, world.staff)).shipments!;
      await act("recordDelivery", world.staff, { shipmentId: parcel!.id, idempotencyKey: randomUUID() });
    }
    await reach(before.number, ada, "COMPLETED");
    await sendOneBack(await reach(bought.number, ada, "COMPLETED"), ada);
    await until("one of three back on its shelf", async () => (await stockOf(mug)).onHand === 4);
  });

  describe("its listeners:", () => {
    liveTests(() => world!);
  });
});
