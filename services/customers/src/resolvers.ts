import type { Database } from "@crowdcrunch/kit/database";
import type { RequestContext } from "@crowdcrunch/kit/graphql";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireOwner, requireViewer } from "@crowdcrunch/kit/identity";
import { pageSize } from "@crowdcrunch/kit/operations";
import type { Commands } from "./commands.ts";
import type { Resolvers } from "./generated/graphql.ts";
import { withoutSecrets } from "./letters.ts";
import type { Reads } from "./store.ts";
import { findMails } from "./store-mails.ts";

/** What other parts of the shop keep of a person, and where the person sees it. */
const elsewhere = [
  { what: "Account, roles and sessions", field: "me" },
  { what: "Orders, with their payments, parcels and returns", field: "myOrders" },
  { what: "The cart", field: "cart" },
];

const mostExportedMails = 1_000;

/** GraphQL in and out of customers. */
export function createResolvers(parts: { db: Database; commands: Commands; reads: Reads }): Resolvers {
  const { db, commands, reads } = parts;

  function page<Row extends { id: string }>(rows: Row[], first: number) {
    const nodes = rows.slice(0, first);
    return { nodes, pageInfo: { hasNextPage: rows.length > first, endCursor: nodes.at(-1)?.id ?? null } };
  }
  const cursor = (after: string | null | undefined) => (after ? requireUuid(after, "after") : null);
  const customerById = (id: string, context: RequestContext) =>
    context.load(reads.customersById, requireUuid(id, "id"));

  return {
    Query: {
      customer: (_, { id }, context) => customerById(id ?? requireViewer(context.viewer).sub, context),
      customers: async (_, { search, first, after }) =>
        page(await reads.searchCustomers(search?.trim() || null, cursor(after), pageSize(first) + 1), first),
    },
    Mutation: {
      saveAddress: async (_, { input }, context) => ({
        __typename: "AddressSaved",
        address: await commands.saveAddress(requireViewer(context.viewer), input),
      }),
      removeAddress: async (_, { input }, context) => ({
        __typename: "AddressRemoved",
        ...(await commands.removeAddress(requireViewer(context.viewer), input)),
      }),
      setConsent: async (_, { input }, context) => ({
        __typename: "ConsentSet",
        consent: await commands.setConsent(requireViewer(context.viewer), input),
      }),
      async exportMyData(_, _arguments, context) {
        const viewer = requireViewer(context.viewer);
        requireOwner(viewer, viewer.sub);
        const [[profile], [addresses], [consents], mails] = await Promise.all([
          reads.customersById([viewer.sub]),
          reads.addressesOf([viewer.sub]),
          reads.consentsOf([viewer.sub]),
          findMails(db, viewer.sub, null, mostExportedMails),
        ]);
        const correspondence = mails.map((mail) => ({ ...mail, text: withoutSecrets(mail.text) }));
        const json = JSON.stringify({ profile, addresses, consents, correspondence }, null, 2);
        return { __typename: "DataExport", json, elsewhere };
      },
      eraseMe: async (_, _arguments, context) => ({
        __typename: "MyDataErased",
        ...(await commands.eraseMe(requireViewer(context.viewer))),
      }),
      importCustomers: async (_, { input }) => ({
        __typename: "CustomersImported",
        ...(await commands.importCustomers(input)),
      }),
    },
    User: {
      __resolveReference: (({ id }: { id: string }) => ({ id })) as never,
      customer: ({ id }, _, context) => customerById(id, context),
    },
    Customer: {
      __resolveReference: (({ id }: { id: string }, context: RequestContext) => customerById(id, context)) as never,
      addresses: async ({ id }, _, context) => (await context.load(reads.addressesOf, id)) ?? [],
      consents: async ({ id }, _, context) => (await context.load(reads.consentsOf, id)) ?? [],
      correspondence: async ({ id }, { first, after }) =>
        page(await findMails(db, id, cursor(after), pageSize(first) + 1), first),
    },
    Mail: {
      text: ({ text }) => withoutSecrets(text),
    },
  };
}
