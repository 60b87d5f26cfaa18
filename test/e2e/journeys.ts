import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { readSpool } from "@crowdcrunch/tools/mails-spool";
import { beforeAll, describe, expect, test } from "vitest";
import { openPurchases } from "./purchases.ts";
import type { SeenOrder } from "./purchases.ts";
import { startAgain, tell, until } from "./whole-shop.ts";
import type { Shopper, WholeShop } from "./whole-shop.ts";

/** Long enough to cancel before the simulated carrier comes. */
const carrierDelayMs = 4_000;

/** What people buy, pay, cancel and send back, and what is left of the graph without a service. Declares the tests. */
export function journeyTests(open: () => WholeShop): void {
  let world: WholeShop;
  let { place, reach, buy, cancel, dispatch, stockOf, act, sendOneBack } = {} as ReturnType<typeof openPurchases>;

  beforeAll(async () => {
    world = open();
    await startAgain(world, "fulfillment", {
      CARRIER_SIMULATOR: "true",
      CARRIER_DELAY_MS: String(carrierDelayMs),
    });
    ({ place, reach, buy, cancel, dispatch, stockOf, act, sendOneBack } = openPurchases(world));
  });

  describe.concurrent("through the gateway, each service a process of its own,", () => {
    test("a guest fills a cart, signs up, buys goods and a download, returns one unit and is refunded", async () => {
      const { graph, shop } = world;
      const [mug, book] = await Promise.all([world.article(10, 1_250), world.download(899)]);
      const started = await graph.ask(`mutation Start { startGuestSession { ... on GuestSession { accessToken } } }`);
      const guest = started.startGuestSession.accessToken as string;
      await act("setCartLine", guest, { skuId: mug.skuId, quantity: 2 });
      await act("setCartLine", guest, { skuId: book.skuId, quantity: 1 });

      const email = `${randomUUID()}@example.com`;
      const account = "... on SignedIn { accessToken user { id } }";
      const signedUp = await act("signUp", guest, { email, password: "correct horse battery", name: "Ada" }, account);
      const ada: Shopper = { token: signedUp["accessToken"], id: signedUp["user"].id, email };
      const quoteQuery = `query Quote { cart { id quote(currency: "GBP", shippingMethod: "standard") { total { amountMinor } shipping { amountMinor } lines { skuId quantity priceVersion } } } }`;
      const cart = await until("the guest's cart", async () => {
        const { cart: found } = await graph.ask(quoteQuery, {}, ada.token);
        return found.quote.lines.length === 2 ? found : undefined;
      });
      const { total, shipping, lines } = cart.quote;
      expect(total.amountMinor).toBe(2 * 1_250 + 899 + shipping.amountMinor);

      const order = await buy(ada, [], "CONFIRMED", { cartId: cart.id, lines, expectedTotalMinor: total.amountMinor });
      expect(await stockOf(mug)).toEqual({ onHand: 10, reserved: 2 });
      expect(order.payments).toMatchObject([{ status: "AUTHORIZED", captured: { amountMinor: 0 } }]);
      const emptied = await graph.ask(`query Cart { cart { lines { quantity } } }`, {}, ada.token);
      expect(emptied.cart.lines).toEqual([]);

      const link = await until("the mail with the download", async () => {
        const texts = readSpool(join(shop.varDir, "mail")).filter(({ to }) => to.includes(email));
        return texts.map(({ text }) => /https?:\/\/\S+\/downloads\/\S+/.exec(text)?.[0]).find(Boolean);
      });
      const file = await fetch(link);
      expect(file.status).toBe(200);
      expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(0);

      // The carrier takes and delivers the parcel by itself.
      const delivered = await reach(order.number, ada, "COMPLETED");
      expect(delivered.shipments).toMatchObject([{ status: "DELIVERED" }]);
      expect(delivered.amountPaid).toEqual({ amountMinor: total.amountMinor });
      expect(await stockOf(mug)).toEqual({ onHand: 8, reserved: 0 });
      const what = delivered.timeline.map((entry) => entry.what);
      const steps = ["PLACED", "STOCK_RESERVED", "PAYMENT_REQUESTED", "CONFIRMED", "DISPATCHED", "COMPLETED"];
      expect(what.filter((step) => steps.includes(step))).toEqual(steps);

      await sendOneBack(delivered, ada);
      const refunded = await reach(order.number, ada, (seen) => seen.amountRefunded?.amountMinor === 1_250);
      expect(refunded.amountPaid).toEqual({ amountMinor: total.amountMinor });
      await until("the unit back on its shelf", async () => (await stockOf(mug)).onHand === 9);
    });

    describe("paying", () => {
      test("a declined card can be followed by another, and only one of them pays", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "AWAITING_PAYMENT", { paymentMethod: { token: "tok_declined" } });
        await reach(order.number, ada, ({ paymentState }) => paymentState === "DECLINED");
        const card = (token: string) => ({
          number: order.number,
          idempotencyKey: randomUUID(),
          paymentMethod: { token },
        });
        await act("payOrder", ada.token, card("tok_insufficient_funds"));
        await reach(order.number, ada, ({ paymentState }) => paymentState === "DECLINED");
        const again = card("tok_ok");
        const answers = await Promise.all([1, 2].map(() => tell(world.graph, "payOrder", ada.token, again)));
        expect(answers.map(({ __typename }) => __typename)).toEqual(["PaymentStarted", "PaymentStarted"]);
        const confirmed = await reach(order.number, ada, "CONFIRMED");
        expect(confirmed.payments).toMatchObject([{ status: "AUTHORIZED", authorized: order.total }]);
      });

      test("the card's bank asks the shopper on a page of the provider's", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const action = { paymentMethod: { token: "tok_action_required" } };
        const [agreed, refused] = await Promise.all(
          [1, 2].map(() => buy(ada, [mug], "PAYMENT_ACTION_REQUIRED", action)),
        );
        const page = await fetch(agreed!.paymentUrl!);
        expect(await page.text()).toContain("Is this you?");
        const decided = await decide(agreed!.paymentUrl!, "authorise");
        expect(decided.status).toBe(303);
        expect(decided.headers.get("location")).toContain(agreed!.number);
        await reach(agreed!.number, ada, ({ status, paymentUrl }) => status === "CONFIRMED" && paymentUrl === null);

        await decide(refused!.paymentUrl!, "refuse");
        await reach(refused!.number, ada, ({ paymentState }) => paymentState === "DECLINED");
        const card = { number: refused!.number, idempotencyKey: randomUUID(), paymentMethod: { token: "tok_ok" } };
        await act("payOrder", ada.token, card);
        await reach(refused!.number, ada, "CONFIRMED");
      });

      test("an answer of the provider that never comes is looked up, and charges once", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "CONFIRMED", { paymentMethod: { token: "tok_timeout" } });
        expect(order.payments).toMatchObject([{ status: "AUTHORIZED", authorized: order.total }]);
      });
    });

    describe("what is not there", () => {
      test("an order for more than there is is rejected whole, unpaid, and its cart is open again", async () => {
        const [ada, mug, rare] = [await world.shopper(), await world.article(5), await world.article(1)];
        await act("setCartLine", ada.token, { skuId: mug.skuId, quantity: 1 });
        const { cart } = await act(
          "setCartLine",
          ada.token,
          { skuId: rare.skuId, quantity: 2 },
          "... on CartChanged { cart { id } }",
        );
        const lines = [
          { skuId: mug.skuId, quantity: 1 },
          { skuId: rare.skuId, quantity: 2 },
        ];
        const order = await buy(ada, [], "REJECTED", { cartId: cart.id, lines });
        expect(order.payments).toBeNull();
        expect([await stockOf(mug), await stockOf(rare)]).toEqual([
          { onHand: 5, reserved: 0 },
          { onHand: 1, reserved: 0 },
        ]);
        const open = await until("the cart", async () => {
          const { cart: seen } = await world.graph.ask(
            `query Cart { cart { id open lines { skuId quantity } } }`,
            {},
            ada.token,
          );
          return seen.lines.length === 2 ? seen : undefined;
        });
        expect(open).toEqual({ id: cart.id, open: true, lines });
        expect((await cancel(order.number, ada.token)).__typename).toBe("NotPossible");
      });

      test("of 100 shoppers at once exactly one gets the last unit", async () => {
        const rare = await world.article(1);
        const shoppers = await Promise.all(Array.from({ length: 100 }, () => world.shopper()));
        const orders = await Promise.all(
          shoppers.map(async (shopper) => ({
            shopper,
            number: (await place(shopper, [rare]))["order"].number as string,
          })),
        );
        const ended = await Promise.all(
          orders.map(({ shopper, number }) =>
            reach(number, shopper, ({ status }) => ["CONFIRMED", "SHIPPED", "COMPLETED", "REJECTED"].includes(status)),
          ),
        );
        expect(ended.filter(({ status }) => status !== "REJECTED")).toHaveLength(1);
        expect(ended.filter(({ payments }) => payments !== null)).toHaveLength(1);
        expect((await stockOf(rare)).onHand - (await stockOf(rare)).reserved).toBe(0);
      });
    });

    test("a price that changed since the quote is told, and nothing is ordered", async () => {
      const [ada, mug] = [await world.shopper(), await world.article(5, 1_000)];
      const seen = [{ skuId: mug.skuId, quantity: 1, priceVersion: mug.priceVersion }];
      await act("setPrice", world.staff, { skuId: mug.skuId, currency: "GBP", amountMinor: 1_100 });
      const changed = await until("the new price", async () => {
        const answer = await place(ada, [], { lines: seen, expectedTotalMinor: 1 });
        return answer["quote"].lines[0].priceVersion > mug.priceVersion ? answer : undefined;
      });
      expect(changed.__typename).toBe("PriceChanged");
      const mine = `query Mine { myOrders { nodes { number } } }`;
      expect((await world.graph.ask(mine, {}, ada.token)).myOrders.nodes).toEqual([]);
      const { lines, total } = changed["quote"];
      const order = await buy(ada, [], "CONFIRMED", { lines, expectedTotalMinor: total.amountMinor });
      expect(order.total).toEqual(total);
    });

    describe("placing twice", () => {
      test("the same key is one order, however often and whenever; with another body it is an error", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(50)];
        const code = `ONCE-${randomUUID().slice(0, 8)}`;
        await act("createCoupon", world.staff, { code, percent: 10, usesAtMost: 1 });
        const idempotencyKey = randomUUID();
        const lines = [{ skuId: mug.skuId, quantity: 1, priceVersion: mug.priceVersion }];
        const submit = (changes: Record<string, unknown> = {}) =>
          place(ada, [], { idempotencyKey, lines, couponCode: code, ...changes });
        const answers = await Promise.all(Array.from({ length: 10 }, () => submit()));
        const numbers = new Set(answers.map((answer) => answer["order"]?.number as string));
        expect(numbers.size).toBe(1);
        const [number] = numbers;
        await reach(number!, ada, "CONFIRMED");

        // By now the coupon is used up, and soon the price is another: the answer to the same request stays the same.
        await act("setPrice", world.staff, { skuId: mug.skuId, currency: "GBP", amountMinor: 2_000 });
        await until("the new price", async () => {
          const other = await place(ada, [], { lines, couponCode: null });
          return other.__typename === "PriceChanged";
        });
        expect((await submit())["order"]?.number).toBe(number);
        expect((await submit({ email: "else@example.com" })).__typename).toBe("KeyReused");
        expect((await submit({ lines: [{ ...lines[0], quantity: 2 }] })).__typename).toBe("KeyReused");
        const { myOrders } = await world.graph.ask(
          `query Mine { myOrders { nodes { number status } } }`,
          {},
          ada.token,
        );
        expect(myOrders.nodes.filter((node: { number: string }) => node.number === number)).toHaveLength(1);
      });

      test("the same key of somebody else is another order", async () => {
        const [ada, bob, mug] = [await world.shopper(), await world.shopper(), await world.article(5)];
        const idempotencyKey = randomUUID();
        const [first, second] = await Promise.all([ada, bob].map((one) => place(one, [mug], { idempotencyKey })));
        expect(first!["order"].number).not.toBe(second!["order"].number);
      });
    });

    describe("cancelling", () => {
      const isOver = ({ status, payments }: { status: string; payments: { status: string }[] | null }) =>
        status === "CANCELLED" && (payments ?? []).every((payment) => payment.status === "VOIDED");

      test("right after placing, wherever the saga is at that moment, gives back stock and money", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(100)];
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            const { order } = await place(ada, [mug]);
            expect((await cancel(order.number, ada.token)).__typename).toBe("CancellationAccepted");
            const over = await reach(order.number, ada, isOver);
            expect(over.amountPaid?.amountMinor ?? 0).toBe(0);
            expect((await cancel(order.number, ada.token)).__typename).toBe("NotPossible");
          }),
        );
        await until("the stock", async () => (await stockOf(mug)).reserved === 0);
      });

      test("while another card is awaited", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "AWAITING_PAYMENT", { paymentMethod: { token: "tok_declined" } });
        await reach(order.number, ada, ({ paymentState }) => paymentState === "DECLINED");
        expect(await cancel(order.number, ada.token)).toMatchObject({ done: true, order: { status: "CANCELLED" } });
        await until("the stock", async () => (await stockOf(mug)).reserved === 0);
        const card = { number: order.number, idempotencyKey: randomUUID(), paymentMethod: { token: "tok_ok" } };
        expect((await tell(world.graph, "payOrder", ada.token, card)).__typename).toBe("NotPossible");
      });

      test("while the card's bank waits for the shopper, who authorises too late and pays nothing", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "PAYMENT_ACTION_REQUIRED", {
          paymentMethod: { token: "tok_action_required" },
        });
        await cancel(order.number, ada.token);
        await decide(order.paymentUrl!, "authorise");
        const over = await reach(order.number, ada, isOver);
        expect(over.amountPaid?.amountMinor ?? 0).toBe(0);
      });

      test("before the parcel is dispatched", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "CONFIRMED");
        expect((await cancel(order.number, ada.token)).__typename).toBe("CancellationAccepted");
        const over = await reach(order.number, ada, isOver);
        expect(over.shipments).toMatchObject([{ status: "CANCELLED" }]);
        await until("the stock", async () => (await stockOf(mug)).reserved === 0);
      });

      test("is too late once it is sent, and once it has arrived", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(5)];
        const order = await buy(ada, [mug], "CONFIRMED");
        expect((await dispatch(order.number)).__typename).toBe("ShipmentDispatched");
        await reach(order.number, ada, "SHIPPED");
        expect((await cancel(order.number, ada.token)).__typename).toBe("TooLate");
        await reach(order.number, ada, "COMPLETED");
        expect((await cancel(order.number, ada.token)).__typename).toBe("TooLate");
      });

      test("races the dispatch: one of them wins, and the money follows", async () => {
        const [ada, mug] = [await world.shopper(), await world.article(100)];
        const orders = await Promise.all(Array.from({ length: 8 }, () => buy(ada, [mug], "CONFIRMED")));
        const ended = await Promise.all(
          orders.map(async ({ number }, index) => {
            const dispatched = index % 2 === 0 ? dispatch(number) : undefined;
            const cancelled = await cancel(number, ada.token);
            expect(["CancellationAccepted", "TooLate"]).toContain(cancelled.__typename);
            const sent = (await (dispatched ?? dispatch(number))).__typename === "ShipmentDispatched";
            const over = await reach(number, ada, (seen) => (sent ? seen.status === "COMPLETED" : isOver(seen)));
            expect(over.amountPaid?.amountMinor ?? 0).toBe(sent ? over.total.amountMinor : 0);
            return sent;
          }),
        );
        const sent = ended.filter(Boolean).length;
        await until("the stock", async () => (await stockOf(mug)).reserved === 0);
        expect((await stockOf(mug)).onHand).toBe(100 - sent);
      });
    });
  });

  describe("a service that is down", () => {
    const query = `query All($number: String!) {
    order(number: $number) { status lines { sku { code } } customer { name } payments { status } shipments { status } returnable { quantity } }
    me { email }
    cart { version }
    products(first: 1) { nodes { name } } }`;
    /** What each service's fields are in the answer: null where they are missing. */
    const parts: Record<string, (data: any) => unknown> = {
      orders: (data) => data.order,
      inventory: (data) => data.products,
      customers: (data) => data.order?.customer?.name,
      payments: (data) => data.order?.payments,
      fulfillment: (data) => data.order?.shipments,
      exchanges: (data) => data.order?.returnable,
      frontend: (data) => data.cart,
      users: (data) => data.me,
    };

    let ada: Shopper;
    let order: SeenOrder;

    beforeAll(async () => {
      const [email, password] = [`${randomUUID()}@example.com`, "correct horse battery"];
      const account = "... on SignedIn { accessToken user { id } }";
      const signedUp = await act("signUp", undefined, { email, password, name: "Ada" }, account);
      ada = { token: signedUp["accessToken"], id: signedUp["user"].id, email };
      order = await buy(ada, [await world.article(5)], "CONFIRMED");
    });

    test.each(Object.keys(parts))("costs its own fields: %s", async (down) => {
      const { graph, shop } = world;
      const withoutGaps = () =>
        until("an answer without gaps", async () => {
          const data = await graph.ask(query, { number: order.number }, ada.token);
          return Object.values(parts).every((part) => part(data) != null);
        });
      await withoutGaps();
      shop.kill(down);
      const answer = await ask(shop.graphUrl, query, { number: order.number }, ada.token);
      const codes = new Set(answer.errors?.map(({ extensions }) => extensions.code));
      expect([...codes]).toEqual(["SUBGRAPH_UNAVAILABLE"]);
      const missing = Object.keys(parts).filter((name) => parts[name]!(answer.data) == null);
      // Without orders nobody knows of the order, so none of the others can tell its part.
      const withOrder = ["orders", "customers", "payments", "fulfillment", "exchanges"];
      expect(missing.toSorted()).toEqual(down === "orders" ? withOrder.toSorted() : [down]);
      await withoutGaps();
    });
  });
}

/** Decides on the provider's page, as the shopper's browser does. */
function decide(url: string, decision: "authorise" | "refuse"): Promise<Response> {
  return fetch(url, { method: "POST", redirect: "manual", body: new URLSearchParams({ decision }) });
}

/** Asks the graph and gives the whole answer, errors too. */
async function ask(url: string, query: string, variables: object, token: string) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as { data: any; errors?: { extensions: { code: string } }[] };
}
