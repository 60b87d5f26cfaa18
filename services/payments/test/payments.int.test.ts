import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld } from "./world.ts";
import type { World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.stop());

async function names(order: { answers(): Promise<{ name: string }[]> }): Promise<string[]> {
  return (await order.answers()).map(({ name }) => name);
}

describe("authorization", () => {
  test("a good card is authorized, once, and the ledger says so", async () => {
    const order = world.order();
    const requested = order.events.requested("tok_ok");
    await order.tell(requested);
    const { paymentId, amountMinor, attempt, currency, version } = await order.answered("payment-authorized");
    expect({ paymentId, amountMinor, attempt, currency, version }).toEqual({
      paymentId: order.paymentId,
      amountMinor: 2_500,
      attempt: 1,
      currency: "GBP",
      version: 1,
    });
    await order.tell(requested);
    expect(await names(order)).toEqual(["payment-authorized"]);
    const { rows } = await world.provider.book.query(
      "SELECT held, amount_minor FROM authorizations WHERE reference = $1",
      [order.orderId],
    );
    expect(rows).toEqual([{ held: true, amount_minor: 2_500 }]);
  });
});
