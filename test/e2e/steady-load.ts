import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { GraphFailure } from "@crowdcrunch/shopper/client";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { shipTo, tell } from "./whole-shop.ts";
import type { Answer, Article, Shopper } from "./whole-shop.ts";

/** What a shopper knows of an order, by what the shop has answered. */
export interface Acknowledged {
  number: string;
  id: string;
  /** The key that it was placed with. */
  key: string;
  /** The shop has said that the order is cancelled. */
  wasCancelled: boolean;
  /** The state that the shopper saw it end in. */
  sawEnd?: string;
  /** The return that the shop has accepted for it. */
  returnNumber?: string;
}

/** What shoppers did, by their own notes. */
export interface Load {
  /** Orders that the shop has answered for. */
  acknowledged: Acknowledged[];
  /** How many purchases have been begun. */
  begun(): number;
  /** How many purchases have begun and not ended. */
  underWay(): number;
  /** How often something had to be asked again. */
  repeats(): number;
  /** What requests failed with, oldest first. */
  failedRequests: string[];
  /** Why purchases could not be brought to an end. */
  failures: string[];
  /** Lets nobody begin another purchase, and waits until all have ended. */
  end(): Promise<void>;
}

export interface LoadOptions {
  graph: GraphClient;
  shoppers: Shopper[];
  articles: Article[];
  /** Most purchases at once. Default: one for each shopper. */
  atOnce?: number;
  /** Most purchases whose order is not answered yet: so many that a slow shop is not buried. Default: `atOnce`. */
  placingAtOnce?: number;
  /** Purchases begun in a second, while fewer than `atOnce` are under way. Default: as many as there is room for. */
  perSecond?: number;
  /** One of so many purchases is sent back once it has ended. Default: none. */
  returnEvery?: number;
  /** How long a purchase may take before its shopper gives up, in ms. Default 10 min. */
  patienceMs?: number;
  /** Told of an order whenever the shop has said something more of it. */
  onTold?: (order: Acknowledged) => void;
}

export const endStates = ["COMPLETED", "CANCELLED", "REJECTED"];

/** Cards that shoppers pay with: most go through, some only when the provider is asked again. */
const cards = ["tok_ok", "tok_ok", "tok_error", "tok_ok", "tok_ok"];

/** The request did not fail; what it asked for is not possible yet. */
class TooEarly extends Error {}

const firstLookMs = 150;
const longestLookMs = 15_000;
/** When to look again, after a look that told nothing new. */
const later = (lookMs: number): number => Math.min(lookMs * 1.5, longestLookMs);

/** How long a good client waits before it asks again, in ms: as long as it was told, else a little. */
function waitMs(error: unknown): number {
  const told = error instanceof GraphFailure ? error.errors[0]?.extensions?.retryAfterMs : undefined;
  return Math.max(100, told ?? 0);
}

/** Asks until there is an answer; whoever asks for an effect does it with the same key. */
export async function persist<Result>(
  ask: () => Promise<Result>,
  options: { patienceMs: number; onRepeat?: (error: unknown) => void },
): Promise<Result> {
  const giveUpAtMs = performance.now() + options.patienceMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > giveUpAtMs) throw error;
      options.onRepeat?.(error);
      await sleep(waitMs(error));
    }
  }
}

/** The input of an order of one of each article. */
export function orderInput(shopper: Shopper, articles: Article[], token = "tok_ok") {
  return {
    idempotencyKey: randomUUID() as string,
    lines: articles.map(({ skuId }) => ({ skuId, quantity: 1 })),
    email: shopper.email,
    currency: "GBP",
    shipTo,
    shippingMethod: "standard",
    paymentMethod: { token },
  };
}

/**
 * Keeps shoppers buying: each orders, every fourth thinks better of it, and looks, less and less often, until the
 * order has ended. Whoever gets no answer asks again, with the same key.
 */
export function startLoad(options: LoadOptions): Load {
  const { graph, shoppers, articles, atOnce = shoppers.length, perSecond = Infinity, patienceMs = 600_000 } = options;
  const acknowledged: Acknowledged[] = [];
  const failures: string[] = [];
  const failedRequests: string[] = [];
  const placingAtOnce = options.placingAtOnce ?? atOnce;
  let [begun, placing, ended, repeats, stopping] = [0, 0, 0, 0, false];
  let room = Promise.withResolvers<void>();
  const asking = <Result>(ask: () => Promise<Result>) => persist(ask, { patienceMs, onRepeat: noteRepeat });

  function noteRepeat(error: unknown): void {
    repeats += 1;
    if (!(error instanceof TooEarly)) failedRequests.push((error as Error).message);
  }

  async function sendBack(shopper: Shopper, order: Acknowledged): Promise<void> {
    const query = `query Lines($number: String!) { order(number: $number) { lines { id digital } } }`;
    const { order: found } = await asking(() => graph.ask(query, { number: order.number }, shopper.token));
    const line = (found.lines as { id: string; digital: boolean }[]).find(({ digital }) => !digital);
    const input = {
      idempotencyKey: randomUUID(),
      orderNumber: order.number,
      lines: [{ lineId: line!.id, quantity: 1 }],
      reason: "CHANGED_MIND",
    };
    const selection = "... on ReturnRequested { return { number } }";
    // What a shopper sees as delivered may not have reached those who take it back.
    const answer = await asking(async () => {
      const told = await tell(graph, "requestReturn", shopper.token, input, selection);
      if (told.__typename !== "ReturnRequested") throw new TooEarly(`requestReturn: ${JSON.stringify(told)}`);
      return told;
    });
    order.returnNumber = answer["return"].number as string;
    options.onTold?.(order);
  }

  async function buy(shopper: Shopper, count: number): Promise<void> {
    const giveUpAtMs = performance.now() + patienceMs;
    const input = orderInput(shopper, articles, cards[count % cards.length]);
    placing += 1;
    const placed = await asking(() =>
      tell(graph, "placeOrder", shopper.token, input, "... on OrderPlaced { order { id number } }"),
    ).finally(() => {
      placing -= 1;
      room.resolve();
    });
    if (placed.__typename !== "OrderPlaced") throw new Error(`placeOrder: ${JSON.stringify(placed)}`);
    const { number, id } = placed["order"] as { number: string; id: string };
    const order: Acknowledged = { number, id, key: input.idempotencyKey, wasCancelled: false };
    acknowledged.push(order);
    options.onTold?.(order);
    const look = `query Look($number: String!) { order(number: $number) { status } }`;
    const statusNow = async () =>
      (await asking(() => graph.ask<{ order: { status: string } }>(look, { number }, shopper.token))).order.status;
    if (count % 4 === 3) {
      // Every other one when money may be held already, which must then be given up.
      for (let lookMs = firstLookMs / 5; count % 8 === 7 && (await statusNow()) === "PENDING"; lookMs = later(lookMs))
        await sleep(lookMs);
      const cancellation = { number, idempotencyKey: randomUUID() };
      const answer = await asking<Answer>(() =>
        tell(graph, "cancelOrder", shopper.token, cancellation, "... on CancellationAccepted { done }"),
      );
      order.wasCancelled = answer["done"] === true;
      options.onTold?.(order);
    }
    for (let lookMs = firstLookMs; ; lookMs = later(lookMs)) {
      const status = await statusNow();
      if (endStates.includes(status)) {
        order.sawEnd = status;
        options.onTold?.(order);
        break;
      }
      if (performance.now() > giveUpAtMs) throw new Error(`${number} is ${status} after ${patienceMs / 1_000} s`);
      await sleep(lookMs);
    }
    const { returnEvery } = options;
    if (returnEvery && count % returnEvery === 0 && order.sawEnd === "COMPLETED") await sendBack(shopper, order);
  }

  async function purchase(count: number): Promise<void> {
    await buy(shoppers[count % shoppers.length]!, count).catch(
      (error: Error) => void failures.push(`purchase ${count}: ${error.message}`),
    );
    ended += 1;
    room.resolve();
  }

  async function shop(): Promise<void> {
    const purchases: Promise<void>[] = [];
    while (!stopping) {
      const nextMs = performance.now() + 1_000 / perSecond;
      begun += 1;
      purchases.push(purchase(begun));
      await sleep(Math.max(0, nextMs - performance.now()));
      while (begun - ended >= atOnce || placing >= placingAtOnce) {
        room = Promise.withResolvers();
        await room.promise;
      }
    }
    await Promise.all(purchases);
  }
  const shopping = shop();

  return {
    acknowledged,
    failures,
    failedRequests,
    begun: () => begun,
    underWay: () => begun - ended,
    repeats: () => repeats,
    async end() {
      stopping = true;
      await shopping;
    },
  };
}
