import { randomUUID } from "node:crypto";
import { operatorToken } from "@crowdcrunch/tools/operator";
import { listen } from "@crowdcrunch/tools/live";
import { afterEach, beforeAll, expect, test } from "vitest";
import { openPurchases } from "./purchases.ts";
import { until } from "./whole-shop.ts";
import type { Shopper, WholeShop } from "./whole-shop.ts";

interface Heard {
  /** All that was heard, the oldest first. */
  all: any[];
  /** Set when there is nothing more to listen to: true, or the error. */
  ended: unknown;
  /** Waits until something was heard. */
  hears(what: string, isIt: (data: any) => boolean): Promise<any>;
}

const orderUpdates = `subscription ($number: String!) { orderUpdated(number: $number) {
  number status version paymentState timeline { what } payments { status } shipments { status } } }`;
const isStatus = (status: string) => (data: any) => data.orderUpdated?.status === status;

/** What holds for listeners of a whole shop, whichever event log it has. Declares the tests. */
export function liveTests(open: () => WholeShop): void {
  let world: WholeShop;
  let { place, buy, reach, cancel, dispatch, act } = {} as ReturnType<typeof openPurchases>;
  let stopping = new AbortController();

  beforeAll(() => {
    world = open();
    ({ place, buy, reach, cancel, dispatch, act } = openPurchases(world));
  });
  afterEach(() => {
    stopping.abort();
    stopping = new AbortController();
  });

  /** Listens until the end of the test. */
  function hear(query: string, variables: Record<string, unknown>, token?: () => Promise<string> | string): Heard {
    const heard: Heard = {
      all: [],
      ended: undefined,
      hears: (what, isIt) =>
        until(what, async () => heard.all.find(isIt)).catch((error: Error) => {
          throw new Error(`${error.message}; heard: ${JSON.stringify(heard.all)}, ended: ${String(heard.ended)}`);
        }),
    };
    const { signal } = stopping;
    const listening = { query, variables, signal, ...(token ? { token } : {}) };
    void (async () => {
      for await (const data of listen(world.shop.graphUrl, listening)) heard.all.push(data);
    })().then(
      () => (heard.ended = true),
      (error: unknown) => (heard.ended = error),
    );
    return heard;
  }

  const hearOrder = (number: string, { token }: Pick<Shopper, "token">) => hear(orderUpdates, { number }, () => token);

  async function placed(shopper: Shopper, changes: Record<string, unknown> = {}): Promise<string> {
    const answer = await place(shopper, [await world.article(10)], changes);
    return answer["order"].number as string;
  }

  test("a purchase is seen as it happens, each version once and with what the other services know", async () => {
    const ada = await world.shopper();
    const heard = hearOrder(await placed(ada), ada);
    await heard.hears("CONFIRMED", isStatus("CONFIRMED"));
    await heard.hears("the parcel", (data) => data.orderUpdated.shipments?.length === 1);
    await heard.hears("the payment", (data) => data.orderUpdated.payments?.[0]?.status === "AUTHORIZED");
    const { number } = heard.all[0].orderUpdated;
    await dispatch(number);
    await heard.hears("SHIPPED", isStatus("SHIPPED"));
    const versions = heard.all.map((data) => data.orderUpdated.version);
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(heard.all.map((data) => JSON.stringify(data))).size).toBe(heard.all.length);
  });

  test("a declined card is seen, although no service is told of it", async () => {
    const ada = await world.shopper();
    const number = await placed(ada, { paymentMethod: { token: "tok_declined" } });
    const heard = hearOrder(number, ada);
    await heard.hears("the refusal", (data) => data.orderUpdated.paymentState === "DECLINED");
    await act("payOrder", ada.token, { number, idempotencyKey: randomUUID(), paymentMethod: { token: "tok_ok" } });
    await heard.hears("CONFIRMED", isStatus("CONFIRMED"));
  });

  test("somebody else's order is not there to listen to", async () => {
    const [ada, eve] = await Promise.all([world.shopper(), world.shopper()]);
    const number = await placed(ada);
    const heard = hearOrder(number, eve);
    await until("the end", async () => heard.ended);
    expect([heard.ended, heard.all]).toEqual([true, [{ orderUpdated: null }]]);
  });

  test("a return is heard of from its request to its approval", async () => {
    const ada = await world.shopper();
    const { number, lines } = await buy(ada, [await world.article(5)], "CONFIRMED");
    await dispatch(number);
    const shipped = await reach(number, ada, "SHIPPED");
    await act("recordDelivery", world.staff, {
      idempotencyKey: randomUUID(),
      shipmentId: shipped.shipments![0]!.id,
    });
    const returned = await until("the return", async () => {
      const input = {
        idempotencyKey: randomUUID(),
        orderNumber: number,
        lines: [{ lineId: lines[0]!.id, quantity: 1 }],
        reason: "CHANGED_MIND",
      };
      return act("requestReturn", ada.token, input, "... on ReturnRequested { return { number status } }").catch(
        () => undefined,
      );
    });
    const query = `subscription ($number: String!) { returnUpdated(number: $number) { number status } }`;
    const heard = hear(query, { number: returned["return"].number }, () => ada.token);
    await heard.hears("the request", (data) => data.returnUpdated.status === "REQUESTED");
    await act("approveReturn", world.staff, { idempotencyKey: randomUUID(), number: returned["return"].number });
    await heard.hears("the approval", (data) => data.returnUpdated.status === "APPROVED");
  });

  test("everybody hears that an article is sold out", async () => {
    const article = await world.article(1);
    const query = `subscription ($ids: [ID!]!) { availabilityChanged(skuIds: $ids) { id availability } }`;
    const heard = hear(query, { ids: [article.skuId] });
    await heard.hears("the state now", (data) => data.availabilityChanged[0].availability !== "OUT_OF_STOCK");
    await buy(await world.shopper(), [article], "CONFIRMED");
    await heard.hears("that it is sold out", (data) => data.availabilityChanged[0].availability === "OUT_OF_STOCK");
  });

  test("who signs out everywhere hears no more, until the next token", async () => {
    const email = `${randomUUID()}@example.com`;
    const account = "... on SignedIn { accessToken user { id } }";
    const password = "correct horse battery";
    const signedUp = await act("signUp", undefined, { email, password, name: "Ada" }, account);
    const ada: Shopper = { id: signedUp["user"].id, token: signedUp["accessToken"], email };
    const number = await placed(ada);
    let asked = 0;
    let next: Promise<string> = Promise.resolve(ada.token);
    const heard = hear(orderUpdates, { number }, () => {
      asked++;
      return next;
    });
    await heard.hears("CONFIRMED", isStatus("CONFIRMED"));
    let signIn = (_token: string) => {};
    next = new Promise((resolve) => (signIn = resolve));
    const signOut = `mutation { signOut(input: { everywhere: true }) { __typename } }`;
    await world.graph.ask(signOut, {}, ada.token);
    await until("the end of the stream", async () => asked === 2);
    await cancel(number, world.staff);
    await reach(number, { ...ada, token: world.staff }, "CANCELLED");
    expect(heard.all.filter(isStatus("CANCELLED"))).toEqual([]);
    signIn(await operatorToken(world.shop.varDir, { sub: ada.id, roles: ["SHOPPER"] }));
    await heard.hears("CANCELLED", isStatus("CANCELLED"));
  });

  test("a gateway that is killed is not the end: listeners come back to the state of then", async () => {
    const ada = await world.shopper();
    const number = await placed(ada);
    const heard = hearOrder(number, ada);
    await heard.hears("CONFIRMED", isStatus("CONFIRMED"));
    const restarts = world.shop.restartsOf("gateway");
    world.shop.kill("gateway");
    await until("the next gateway", async () => world.shop.restartsOf("gateway") > restarts);
    await world.shop.untilReady();
    await cancel(number, ada.token);
    await heard.hears("CANCELLED", isStatus("CANCELLED"));
    expect(heard.ended).toBeUndefined();
  });

  test("what was missed while the event log was away is heard when it is back", async () => {
    const ada = await world.shopper();
    const number = await placed(ada);
    const heard = hearOrder(number, ada);
    await heard.hears("CONFIRMED", isStatus("CONFIRMED"));
    const eventLog = world.shop.kafka ? "kafka" : "postgres";
    const restarts = world.shop.restartsOf(eventLog);
    world.shop.kill(eventLog);
    await until("the next event log", async () => world.shop.restartsOf(eventLog) > restarts);
    await until("the cancellation", () => cancel(number, ada.token).catch(() => undefined));
    await heard.hears("CANCELLED", isStatus("CANCELLED"));
    expect(heard.ended).toBeUndefined();
  });
}
