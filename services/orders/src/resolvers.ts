import { Problem, invalid, problem } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireOwner, requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Commands } from "./commands.ts";
import type { CouponCommands } from "./commands-coupon.ts";
import type { PlacingCommands } from "./commands-place.ts";
import type { Quote, Quotes } from "./commands-quote.ts";
import type { Resolvers } from "./generated/graphql.ts";
import { money } from "./graph.ts";
import type { OrderHead } from "./order.ts";
import type { Lists } from "./store-lists.ts";

const currencies = ["GBP", "EUR", "USD"];

function soldIn(currency: string): string {
  if (!currencies.includes(currency)) throw invalid("currency", `The shop sells in ${currencies.join(", ")}.`);
  return currency;
}

/** GraphQL in and out of orders. */
export function createResolvers(parts: {
  commands: Commands;
  placing: PlacingCommands;
  coupons: CouponCommands;
  quotes: Quotes;
  lists: Lists;
}): Resolvers {
  const { commands, placing, coupons, quotes, lists } = parts;

  async function page(rows: Promise<OrderHead[]>, first: number) {
    const orders = await rows;
    const nodes = orders.slice(0, first);
    return { nodes, pageInfo: { hasNextPage: orders.length > first, endCursor: nodes.at(-1)?.id ?? null } };
  }
  const cursor = (after: string | null | undefined) => (after ? requireUuid(after, "after") : null);
  const byId = (id: string, context: RequestContext) => context.load(lists.ordersById, requireUuid(id, "id"));

  return {
    Query: {
      order: (_, { number }, context) => context.load(lists.ordersByNumber, number.toUpperCase()),
      async myOrders(_, { first, after }, context) {
        const viewer = requireViewer(context.viewer);
        // Whoever came by an order's link sees that order alone.
        requireOwner(viewer, viewer.sub);
        return page(lists.ordersOfCustomer(viewer.sub, cursor(after), pageSize(first) + 1), first);
      },
      orders: (_, { status, email, number, first, after }) =>
        page(
          lists.searchOrders(
            { status: status ?? null, email: email ?? null, number: number ?? null },
            cursor(after),
            pageSize(first) + 1,
          ),
          first,
        ),
      shippingMethods: async (_, { currency }) =>
        (await quotes.shippingMethods(soldIn(currency))).map((method) => ({
          ...method,
          price: money(method.priceMinor, method.currency),
          freeAbove: method.freeAboveMinor === null ? null : money(method.freeAboveMinor, method.currency),
        })),
    },
    Mutation: {
      async placeOrder(_, { input }, context) {
        soldIn(input.currency);
        const placed = await placing.placeOrder(requireViewer(context.viewer), input).catch(showQuote);
        return { __typename: "OrderPlaced", ...placed };
      },
      payOrder: async (_, { input }, context) => ({
        __typename: "PaymentStarted",
        order: await commands.payOrder(requireViewer(context.viewer), input),
      }),
      async cancelOrder(_, { input }, context) {
        const order = await commands.cancelOrder(requireViewer(context.viewer), input);
        return { __typename: "CancellationAccepted", order, done: order.status === "CANCELLED" };
      },
      refundOrder: async (_, { input }, context) => ({
        __typename: "RefundStarted",
        order: await commands.refundOrder(requireViewer(context.viewer), input),
      }),
      async createCoupon(_, { input }, context) {
        if (input.currency) soldIn(input.currency);
        const coupon = await coupons.createCoupon(requireViewer(context.viewer), input);
        const { code, percent, amountMinor, currency } = coupon;
        return {
          __typename: "CouponCreated",
          coupon: { code, percent, amount: amountMinor !== null && currency ? money(amountMinor, currency) : null },
        };
      },
    },
    Order: {
      __resolveReference: ((reference: { id?: string; number?: string }, context: RequestContext) =>
        reference.id !== undefined
          ? byId(reference.id, context)
          : context.load(lists.ordersByNumber, String(reference.number))) as never,
      customer: (order) => ({ id: order.customerId }),
      lines: async (order, _, context) => (await context.load(lists.linesByOrder, order.id)) ?? [],
      items: (order) => money(order.totals.itemsMinor, order.currency),
      tax: (order) => money(order.totals.taxMinor, order.currency),
      shipping: (order) => money(order.totals.shippingMinor, order.currency),
      discount: (order) => money(order.totals.discountMinor, order.currency),
      total: (order) => money(order.totals.totalMinor, order.currency),
      payBefore: (order) => order.deadlineAt,
      timeline: async (order, _, context) => (await context.load(lists.timelinesByOrder, order.id)) ?? [],
      replaces: (order, _, context) => (order.replacesOrderId ? byId(order.replacesOrderId, context) : null),
    },
    OrderLine: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.linesById, requireUuid(id, "id"))) as never,
      sku: (line) => ({ id: line.skuId }),
      unitPrice: (line) => money(line.unitMinor, line.currency),
      total: (line) => money(line.paidMinor, line.currency),
      tax: (line) => money(line.taxMinor, line.currency),
      shippedQuantity: (line) => line.shipped,
      deliveredQuantity: (line) => line.delivered,
      cancelledQuantity: (line) => line.cancelled,
      returnedQuantity: (line) => line.returned,
    },
    Customer: {
      __resolveReference: (({ id }: { id: string }) => ({ id })) as never,
      orders: (customer, { first, after }) =>
        page(lists.ordersOfCustomer(requireUuid(customer.id, "id"), cursor(after), pageSize(first) + 1), first),
    },
    Cart: {
      __resolveReference: ((reference: object) => reference) as never,
      async quote(cart, { currency, shippingMethod }) {
        const demand = {
          lines: cart.lines ?? [],
          currency: soldIn(currency),
          couponCode: cart.couponCode ?? null,
          countryCode: cart.shipTo?.countryCode ?? null,
          shippingMethod: shippingMethod ?? null,
        };
        return shownQuote(await quotes.quote(demand));
      },
    },
  };
}

function shownQuote({ currency, price, shippingMethod, unavailable, couponProblem }: Quote) {
  return {
    lines: price.lines.map((line) => ({
      skuId: line.skuId,
      quantity: line.quantity,
      priceVersion: line.priceVersion,
      unitPrice: money(line.unitMinor, currency),
      total: money(line.paidMinor, currency),
    })),
    items: money(price.totals.itemsMinor, currency),
    tax: money(price.totals.taxMinor, currency),
    shipping: money(price.totals.shippingMinor, currency),
    discount: money(price.totals.discountMinor, currency),
    total: money(price.totals.totalMinor, currency),
    shippingMethod,
    unavailable,
    couponProblem,
  };
}

/** PriceChanged carries the new quote in the shape of the graph. */
function showQuote(error: unknown): never {
  if (error instanceof Problem && error.typename === "PriceChanged") {
    throw problem("PriceChanged", error.message, { quote: shownQuote(error.fields["quote"] as Quote) });
  }
  throw error;
}
