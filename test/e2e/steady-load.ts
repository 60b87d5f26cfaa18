import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { shipTo, tell } from "./whole-shop.ts";
import type { Answer, Article, Shopper, WholeShop } from "./whole-shop.ts";

/** What shoppers did, by their own notes. */
export interface Load {
  /** Orders that the shop has answered for. */
  acknowledged: { number: string; key: string; wasCancelled: boolean }[];
  /** How many purchases have begun and not ended. */
  underWay(): number;
  /** How often something had to be asked again. */
  repeats(): number;
  /** Lets nobody begin another purchase, and waits until all have ended. */
  end(): Promise<void>;
}

export const endStates = ["COMPLETED", "CANCELLED", "REJECTED"];

/** Cards that shoppers pay with: most go through, some only when the provider is asked again. */
const cards = ["tok_ok", "tok_ok", "tok_error", "tok_ok", "tok_ok"];

/**
 * Keeps so many shoppers buying: each orders, every fourth thinks better of it at once, and looks until the order has
 * ended. Whoever gets no answer asks again, with the same key.
 */
export function startLoad({ graph }: WholeShop, shoppers: Shopper[], articles: Article[]): Load {
  const acknowledged: Load["acknowledged"] = [];
  let [begun, ended, repeats, stopping] = [0, 0, 0, false];

  async function persist<Result>(ask: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await ask();
      } catch {
        repeats += 1;
        await sleep(100);
      }
    }
  }

  async function buy(shopper: Shopper, count: number): Promise<void> {
    const key = randomUUID();
    const input = {
      idempotencyKey: key,
      lines: articles.map(({ skuId }) => ({ skuId, quantity: 1 })),
      email: shopper.email,
      currency: "GBP",
      shipTo,
      shippingMethod: "standard",
      paymentMethod: { token: cards[count % cards.length] },
    };
    const placed = await persist(() =>
      tell(graph, "placeOrder", shopper.token, input, "... on OrderPlaced { order { number } }"),
    );
    if (placed.__typename !== "OrderPlaced") throw new Error(`placeOrder: ${JSON.stringify(placed)}`);
    const number = placed["order"].number as string;
    const wantsOut = count % 4 === 3;
    const note = { number, key, wasCancelled: false };
    acknowledged.push(note);
    if (wantsOut) {
      const cancellation = { number, idempotencyKey: randomUUID() };
      const answer = await persist<Answer>(() =>
        tell(graph, "cancelOrder", shopper.token, cancellation, "... on CancellationAccepted { done }"),
      );
      note.wasCancelled = answer["done"] === true;
    }
    const look = `query Look($number: String!) { order(number: $number) { status } }`;
    for (;;) {
      const { order } = await persist(() => graph.ask<{ order: { status: string } }>(look, { number }, shopper.token));
      if (endStates.includes(order.status)) return;
      await sleep(150);
    }
  }

  const shopping = shoppers.map(async (shopper) => {
    while (!stopping) {
      begun += 1;
      await buy(shopper, begun);
      ended += 1;
    }
  });
  // Told by `end`, which waits for the same promises.
  for (const one of shopping) one.catch(() => {});

  return {
    acknowledged,
    underWay: () => begun - ended,
    repeats: () => repeats,
    async end() {
      stopping = true;
      await Promise.all(shopping);
    },
  };
}
