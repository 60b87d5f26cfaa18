import { invalid } from "@crowdcrunch/kit/errors";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Commands, ExchangeDemand, ReturnDemand } from "./commands.ts";
import type { RequestExchangeInput, RequestReturnInput, Resolvers } from "./generated/graphql.ts";
import type { LineUnits } from "./return.ts";
import type { ListedExchange, ListedReturn, Lists } from "./store-lists.ts";

/** GraphQL in and out of exchanges. */
export function createResolvers(parts: { commands: Commands; lists: Lists }): Resolvers {
  const { commands, lists } = parts;

  async function read({ returnId }: { returnId: string }): Promise<ListedReturn> {
    const [given] = await lists.returnsById([returnId]);
    return given!;
  }
  const orderOf = ({ orderId, customerId }: ListedReturn) => ({ id: orderId, customerId });

  return {
    Query: {
      return(_, { id, number }, context) {
        if ((id == null) === (number == null)) throw invalid("id", "Either the id or the number is needed.");
        return id != null
          ? context.load(lists.returnsById, requireUuid(id, "id"))
          : context.load(lists.returnsByNumber, number!.trim().toUpperCase());
      },
      async returns(_, { status, externalReference, first, after }) {
        const size = pageSize(first);
        const filter = { status: status ?? null, externalReference: externalReference ?? null };
        const rows = await lists.searchReturns(filter, after ? requireUuid(after, "after") : null, size + 1);
        const nodes = rows.slice(0, size);
        return { nodes, pageInfo: { hasNextPage: rows.length > size, endCursor: nodes.at(-1)?.id ?? null } };
      },
    },
    Mutation: {
      requestReturn: async (_, { input }, { viewer }) => ({
        __typename: "ReturnRequested",
        return: await read(await commands.requestReturn(requireViewer(viewer), returnDemand(input))),
      }),
      async requestExchange(_, { input }, { viewer }) {
        const { returnId } = await commands.requestExchange(requireViewer(viewer), exchangeDemand(input));
        const [exchange] = await lists.exchangesByReturn([returnId]);
        return { __typename: "ExchangeRequested", exchange: exchange! };
      },
      approveReturn: async (_, { input }, { viewer }) => ({
        __typename: "ReturnApproved",
        return: await read(await commands.approveReturn(requireViewer(viewer), input)),
      }),
      rejectReturn: async (_, { input }, { viewer }) => ({
        __typename: "ReturnRejected",
        return: await read(await commands.rejectReturn(requireViewer(viewer), input)),
      }),
      async receiveReturn(_, { input }, { viewer }) {
        const lines = input.lines ? units(input.lines) : null;
        const received = await commands.receiveReturn(requireViewer(viewer), { ...input, lines });
        return { __typename: "ReturnReceived", return: await read(received) };
      },
      async inspectReturn(_, { input }, { viewer }) {
        const lines = input.lines.map((line, index) => ({ ...line, ...units([line], index)[0]! }));
        const inspected = await commands.inspectReturn(requireViewer(viewer), { ...input, lines });
        return { __typename: "ReturnInspected", return: await read(inspected) };
      },
    },
    Order: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.ordersById, requireUuid(id, "id"))) as never,
      returns: (order, _, context) => context.load(lists.returnsByOrder, order.id),
      exchanges: (order, _, context) => context.load(lists.exchangesByOrder, order.id),
      returnable: (order, _, context) => context.load(lists.returnableByOrder, order.id),
    },
    ReturnableLine: {
      line: ({ lineId }) => ({ id: lineId }),
      sku: ({ skuId }) => ({ id: skuId }),
    },
    Return: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.returnsById, requireUuid(id, "id"))) as never,
      order: orderOf,
      credit: ({ creditMinor, currency }) => (creditMinor === null ? null : { amountMinor: creditMinor, currency }),
      refunded: ({ refundedMinor, currency }) => ({ amountMinor: refundedMinor, currency }),
      exchange: ({ id }, _, context) => context.load(lists.exchangesByReturn, id),
    },
    ReturnLine: {
      line: ({ lineId }) => ({ id: lineId }),
      sku: ({ skuId }) => ({ id: skuId }),
      receivedQuantity: ({ received }) => received,
      acceptedQuantity: ({ restocked, writtenOff }) => restocked + writtenOff,
      refusedQuantity: ({ refused }) => refused,
    },
    Exchange: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) =>
        context.load(lists.exchangesById, requireUuid(id, "id"))) as never,
      return: async ({ returnId }, _, context) => (await context.load(lists.returnsById, returnId))!,
      replacement: ({ replacementOrderId, customerId }) =>
        replacementOrderId === null ? null : { id: replacementOrderId, customerId },
      difference,
    },
    ReplacementLine: { sku: ({ skuId }) => ({ id: skuId }) },
  };
}

function difference({ replacementMinor, creditMinor, currency }: ListedExchange) {
  if (replacementMinor === null || creditMinor === null) return null;
  return { amountMinor: replacementMinor - creditMinor, currency };
}

function units(lines: { lineId: string; quantity: number }[], from = 0): LineUnits[] {
  return lines.map(({ lineId, quantity }, index) => ({
    lineId: requireUuid(lineId, `lines[${from + index}].lineId`),
    quantity,
  }));
}

function returnDemand(input: RequestReturnInput): ReturnDemand {
  const { comment = null, externalReference = null } = input;
  return { ...input, comment, externalReference, lines: units(input.lines) };
}

function exchangeDemand(input: RequestExchangeInput): ExchangeDemand {
  const { comment = null, paymentToken = null } = input;
  if (paymentToken !== null && (paymentToken.length === 0 || paymentToken.length > 512)) {
    throw invalid("paymentToken", "This is not a token of the payment provider.");
  }
  const replacements = input.replacements.map(({ skuId, quantity, replacesLineId }, index) => ({
    skuId: requireUuid(skuId, `replacements[${index}].skuId`),
    quantity,
    ...(replacesLineId == null
      ? {}
      : { replacesLineId: requireUuid(replacesLineId, `replacements[${index}].replacesLineId`) }),
  }));
  return { ...input, comment, paymentToken, externalReference: null, lines: units(input.lines), replacements };
}
