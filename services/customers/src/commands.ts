import { consentChanged, customerErased } from "@crowdcrunch/events/customers";
import type { ConsentPurpose } from "@crowdcrunch/events/customers";
import type { Database } from "@crowdcrunch/kit/database";
import { invalid, notFound, notPossible } from "@crowdcrunch/kit/errors";
import { requireUuid } from "@crowdcrunch/kit/idempotency";
import { requireOwner } from "@crowdcrunch/kit/identity";
import type { Viewer } from "@crowdcrunch/kit/identity";
import { requireAddress, requireCountryCode } from "@crowdcrunch/kit/postal-address";
import type { PostalAddressInput } from "@crowdcrunch/kit/postal-address";
import type { Consent, SavedAddress } from "./customer.ts";
import { mostAddresses, mostImported, shortText } from "./customer.ts";
import { addAddress, addImported, changeAddress, dropAddress, lockCustomer, saveConsent, setVersion } from "./store.ts";
import type { Reads } from "./store.ts";
import { forgetCustomer } from "./store-people.ts";

export interface SaveAddressInput {
  id?: string | null;
  label?: string | null;
  address: PostalAddressInput;
}

export interface ImportCustomersInput {
  customers: { externalReference: string; country?: string | null; name?: string | null }[];
}

/** What people do with what is known of them. */
export function createCommands({ db, newId, reads }: { db: Database; newId: () => string; reads: Reads }) {
  /** The caller's id. What a person owns belongs to no order, so whoever came by an order's link is refused. */
  function ownId(viewer: Viewer): string {
    requireOwner(viewer, viewer.sub);
    return viewer.sub;
  }

  function requireRemembered({ erasedAt }: { erasedAt: Date | null }): void {
    if (erasedAt) throw notPossible("ERASED", "You asked us to forget you; nothing can be kept for you any more.");
  }

  return {
    /** Adds an address or changes one. Throws InvalidInput, NotFound, NotPossible or Forbidden. */
    async saveAddress(viewer: Viewer, input: SaveAddressInput): Promise<SavedAddress> {
      const customerId = ownId(viewer);
      const id = input.id == null ? undefined : requireUuid(input.id, "id");
      const label = shortText(input.label, 60, "label");
      const address = requireAddress(input.address, "address");
      return db.transaction(async (tx) => {
        requireRemembered(await lockCustomer(tx, customerId));
        if (id !== undefined) {
          const changed = await changeAddress(tx, { id, customerId, label, address });
          if (!changed) throw notFound("There is no such address.");
          return changed;
        }
        const added = await addAddress(tx, { id: newId(), customerId, label, address }, mostAddresses);
        if (!added) throw invalid("address", `An address book has at most ${mostAddresses} addresses.`);
        return added;
      });
    },

    /** Throws InvalidInput, NotFound or Forbidden. */
    async removeAddress(viewer: Viewer, input: { id: string }): Promise<{ id: string }> {
      const customerId = ownId(viewer);
      const id = requireUuid(input.id, "id");
      if (!(await dropAddress(db, id, customerId))) throw notFound("There is no such address.");
      return { id };
    },

    /** Keeps what the person said and tells the others if it is new. Throws NotPossible or Forbidden. */
    async setConsent(viewer: Viewer, input: { purpose: ConsentPurpose; granted: boolean }): Promise<Consent> {
      const customerId = ownId(viewer);
      const { purpose, granted } = input;
      await db.transaction(async (tx) => {
        const customer = await lockCustomer(tx, customerId);
        requireRemembered(customer);
        if (!(await saveConsent(tx, customerId, purpose, granted))) return;
        const sequence = customer.version + 1;
        await setVersion(tx, customerId, sequence);
        tx.emit(consentChanged.create({ customerId, purpose, granted }, { sequence }));
      });
      const [consents] = await reads.consentsOf([customerId]);
      return consents?.find((consent) => consent.purpose === purpose) ?? { purpose, granted, changedAt: null };
    },

    /** Forgets the person here and tells the others; a repeat answers with the same moment. */
    async eraseMe(viewer: Viewer): Promise<{ at: Date }> {
      const customerId = ownId(viewer);
      return db.transaction(async (tx) => {
        const customer = await lockCustomer(tx, customerId);
        if (customer.erasedAt) return { at: customer.erasedAt };
        const at = await forgetCustomer(tx, customerId);
        const sequence = customer.version + 1;
        await setVersion(tx, customerId, sequence);
        tx.emit(customerErased.create({ customerId, at: at.toISOString() }, { sequence }));
        return { at };
      });
    },

    /** Adds customers that another system knows; a repeat changes nothing. Throws InvalidInput. */
    async importCustomers(input: ImportCustomersInput) {
      const { customers } = input;
      if (customers.length < 1 || customers.length > mostImported)
        throw invalid("customers", `An import brings 1 to ${mostImported} customers.`);
      const rows = customers.map(({ externalReference, country, name }, index) => {
        const field = `customers[${index}]`;
        const reference = shortText(externalReference, 64, `${field}.externalReference`);
        if (reference === null) throw invalid(`${field}.externalReference`, "A reference is needed.");
        return {
          id: newId(),
          externalReference: reference,
          country: country == null ? null : requireCountryCode(country, `${field}.country`),
          name: shortText(name, 200, `${field}.name`),
        };
      });
      const { added, ids } = await db.transaction((tx) => addImported(tx, rows));
      return {
        added,
        customers: rows.map(({ externalReference }) => ({ externalReference, id: ids.get(externalReference) ?? "" })),
      };
    },
  };
}

export type Commands = ReturnType<typeof createCommands>;
