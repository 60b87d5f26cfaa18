import { randomUUID } from "node:crypto";
import { act, shipTo, tell, until } from "./whole-shop.ts";
import type { Answer, Article, Shopper, WholeShop } from "./whole-shop.ts";

/** An order as its customer sees it. */
export interface SeenOrder {
  id: string;
  number: string;
  status: string;
  paymentState: string;
  paymentUrl: string | null;
  total: { amountMinor: number };
  lines: { id: string; quantity: number; digital: boolean; shippedQuantity: number; cancelledQuantity: number }[];
  timeline: { what: string; detail: string | null; actor: { role: string } | null }[];
  payments: { status: string; authorized: Sum; captured: Sum; voided: Sum }[] | null;
  amountPaid: Sum | null;
  amountRefunded: Sum | null;
  shipments: { id: string; status: string }[] | null;
  digitalDeliveries: { status: string }[] | null;
}
interface Sum {
  amountMinor: number;
}

const look = `query Look($number: String!) { order(number: $number) {
  id number status paymentState paymentUrl total { amountMinor }
  lines { id quantity digital shippedQuantity cancelledQuantity } timeline { what detail actor { role } }
  payments { status authorized { amountMinor } captured { amountMinor } voided { amountMinor } }
  amountPaid { amountMinor } amountRefunded { amountMinor } shipments { id status } digitalDeliveries { status } } }`;

/** What shoppers and staff do in the tests, through the gateway. */
export function openPurchases(world: WholeShop) {
  const { graph } = world;
  const see = async (number: string, token: string): Promise<SeenOrder> =>
    (await graph.ask<{ order: SeenOrder }>(look, { number }, token)).order;

  /** Places an order of one of each article; `changes` replaces parts of the input. */
  function place(shopper: Shopper, articles: Article[], changes: Record<string, unknown> = {}): Promise<Answer> {
    const input = {
      idempotencyKey: randomUUID(),
      lines: articles.map(({ skuId }) => ({ skuId, quantity: 1 })),
      email: shopper.email,
      currency: "GBP",
      shipTo,
      shippingMethod: "standard",
      paymentMethod: { token: "tok_ok" },
      ...changes,
    };
    const selection = `... on OrderPlaced { order { id number status lines { id } } } ... on PriceChanged { quote { total { amountMinor } lines { skuId quantity priceVersion } } }`;
    return tell(graph, "placeOrder", shopper.token, input, selection);
  }

  /** Resolves to the order once it has the status, or once `reached` accepts it. */
  const reach = (number: string, shopper: Shopper, wanted: string | ((order: SeenOrder) => boolean)) => {
    let latest: SeenOrder | undefined;
    return until(`${number}: ${String(wanted)}`, async () => {
      latest = await see(number, shopper.token);
      return (typeof wanted === "string" ? latest.status === wanted : wanted(latest)) ? latest : undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(latest)}`, { cause: error });
    });
  };

  return {
    see,
    place,
    reach,
    /** Places an order and waits for the status. */
    async buy(shopper: Shopper, articles: Article[], status: string, changes: Record<string, unknown> = {}) {
      const answer = await place(shopper, articles, changes);
      if (answer.__typename !== "OrderPlaced") throw new Error(`placeOrder: ${JSON.stringify(answer)}`);
      return reach(answer["order"].number as string, shopper, status);
    },
    cancel: (number: string, token: string) =>
      tell(
        graph,
        "cancelOrder",
        token,
        { number, idempotencyKey: randomUUID() },
        "... on CancellationAccepted { done order { status } }",
      ),
    /** Hands the order's parcel to the carrier, as staff. */
    async dispatch(number: string): Promise<Answer> {
      const [parcel] = await until(`the parcel of ${number}`, async () => {
        const { shipments } = await see(number, world.staff);
        return shipments && shipments.length > 0 ? shipments : undefined;
      });
      return tell(graph, "dispatchShipment", world.staff, { idempotencyKey: randomUUID(), shipmentId: parcel!.id });
    },
    /** Units on hand and held, over all locations. */
    async stockOf({ skuId }: Article): Promise<{ onHand: number; reserved: number }> {
      const query = `query Stock($id: ID!) { sku(id: $id) { stock { onHand reserved } } }`;
      const { sku } = await graph.ask(query, { id: skuId }, world.staff);
      const levels = sku.stock as { onHand: number; reserved: number }[];
      return levels.reduce((sum, level) => ({
        onHand: sum.onHand + level.onHand,
        reserved: sum.reserved + level.reserved,
      }));
    },
    act: (mutation: string, token: string | undefined, input: Record<string, unknown>, selection = "") =>
      act(graph, mutation, token, input, selection),
    /** Sends one unit of the first parcel's line back, through to its refund; resolves when the return is settled. */
    async sendOneBack({ number, lines }: SeenOrder, shopper: Shopper): Promise<void> {
      const units = [{ lineId: lines.find(({ digital }) => !digital)!.id, quantity: 1 }];
      const demand = { orderNumber: number, lines: units, reason: "CHANGED_MIND", idempotencyKey: randomUUID() };
      const asked = "... on ReturnRequested { return { number } }";
      const { return: returned } = await until("the right to return", async () => {
        const answer = await tell(graph, "requestReturn", shopper.token, demand, asked);
        return answer.__typename === "ReturnRequested" ? answer : undefined;
      });
      const step = () => ({ idempotencyKey: randomUUID(), number: returned.number as string });
      await act(graph, "approveReturn", world.staff, step());
      await act(graph, "receiveReturn", world.staff, step());
      await act(graph, "inspectReturn", world.staff, { ...step(), lines: [{ ...units[0], disposition: "RESTOCK" }] });
      const query = `query Return($number: String!) { return(number: $number) { status } }`;
      await until("the end of the return", async () => {
        const { return: seen } = await graph.ask(query, { number: returned.number }, shopper.token);
        return seen.status === "SETTLED";
      });
    },
  };
}
