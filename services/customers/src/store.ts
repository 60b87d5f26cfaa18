import type { PostalAddress } from "@crowdcrunch/events/contract";
import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";
import { groupedInOrderOf, inOrderOf } from "@crowdcrunch/kit/graphql";
import type { Consent, Customer, SavedAddress } from "./customer.ts";
import { allConsents, unknownCustomer } from "./customer.ts";

// People, their addresses and consents.

const columns = `id, name, email, country, external_reference AS "externalReference"`;
const byId = statement<Customer>("customerById", `SELECT ${columns} FROM customers WHERE id = ANY($1::uuid[])`);
// A row without any of these is a guest who keeps an address, or somebody who was forgotten.
const search = statement<Customer>(
  "customerSearch",
  `SELECT ${columns} FROM customers
   WHERE ($1::text IS NULL OR name ILIKE $2 OR email ILIKE $2 OR external_reference = $1)
     AND ($3::uuid IS NULL OR id < $3) AND (name IS NOT NULL OR email IS NOT NULL OR external_reference IS NOT NULL)
   ORDER BY id DESC LIMIT $4`,
);
const addressColumns = `id, customer_id AS "customerId", label, address`;
const addressesOf = statement<SavedAddress>(
  "addressesOf",
  `SELECT ${addressColumns} FROM addresses WHERE customer_id = ANY($1::uuid[]) ORDER BY id`,
);
const insertAddress = statement<SavedAddress>(
  "addressInsert",
  `INSERT INTO addresses (id, customer_id, label, address)
   SELECT $1::uuid, $2::uuid, $3::text, $4::json
   WHERE (SELECT count(*) FROM addresses WHERE customer_id = $2) < $5
   RETURNING ${addressColumns}`,
);
const updateAddress = statement<SavedAddress>(
  "addressUpdate",
  `UPDATE addresses SET label = $3, address = $4 WHERE id = $1 AND customer_id = $2 RETURNING ${addressColumns}`,
);
const deleteAddress = statement("addressDelete", `DELETE FROM addresses WHERE id = $1 AND customer_id = $2`);

const consentsOf = statement<Consent & { customerId: string }>(
  "consentsOf",
  `SELECT customer_id AS "customerId", purpose, granted, changed_at AS "changedAt" FROM consents WHERE customer_id = ANY($1::uuid[])`,
);
const upsertConsent = statement<{ changed: boolean }>(
  "consentUpsert",
  `INSERT INTO consents AS c (customer_id, purpose, granted) VALUES ($1, $2, $3)
   ON CONFLICT (customer_id, purpose) DO UPDATE SET granted = excluded.granted, changed_at = now() WHERE c.granted <> excluded.granted
   RETURNING true AS changed`,
);

const ensure = statement("customerEnsure", `INSERT INTO customers (id) VALUES ($1) ON CONFLICT DO NOTHING`);
const lock = statement<{ version: number; erasedAt: Date | null }>(
  "customerLock",
  `SELECT version, (SELECT at FROM erased WHERE customer_id = id) AS "erasedAt" FROM customers WHERE id = $1 FOR UPDATE`,
);
const raiseVersion = statement("customerRaise", `UPDATE customers SET version = $2 WHERE id = $1`);

const importNew = statement(
  "customerImport",
  `INSERT INTO customers (id, external_reference, country, name)
   SELECT id, "externalReference", country, name
   FROM json_to_recordset($1::json) AS n(id uuid, "externalReference" text, country text, name text) ORDER BY "externalReference"
   ON CONFLICT (external_reference) DO NOTHING`,
);
const byReference = statement<{ id: string; externalReference: string }>(
  "customerByReference",
  `SELECT id, external_reference AS "externalReference" FROM customers WHERE external_reference = ANY($1::text[])`,
);

/** Reads for the graph; the batch functions are stable, so that a request's loads meet in them. */
export function createReads(db: Queryable) {
  return {
    /** Whoever is not known is a person without name and address: guests are. */
    async customersById(ids: readonly string[]): Promise<Customer[]> {
      const rows = inOrderOf(ids, await db.many(byId, [ids]), (row) => row.id);
      return rows.map((row, index) => row ?? unknownCustomer(ids[index] ?? ""));
    },
    async addressesOf(customerIds: readonly string[]): Promise<SavedAddress[][]> {
      return groupedInOrderOf(customerIds, await db.many(addressesOf, [customerIds]), (row) => row.customerId);
    },
    async consentsOf(customerIds: readonly string[]): Promise<Consent[][]> {
      const groups = groupedInOrderOf(customerIds, await db.many(consentsOf, [customerIds]), (row) => row.customerId);
      return groups.map(allConsents);
    },
    /** Newest first, by a part of the name or e-mail address, or by the external reference; all for null. */
    searchCustomers(text: string | null, after: string | null, limit: number): Promise<Customer[]> {
      const pattern = `%${(text ?? "").replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;
      return db.many(search, [text, pattern, after, limit]);
    },
  };
}

export type Reads = ReturnType<typeof createReads>;

/** Locks the person's row, made where there is none: its version, and when the person was forgotten. */
export async function lockCustomer(tx: Queryable, id: string): Promise<{ version: number; erasedAt: Date | null }> {
  await tx.run(ensure, [id]);
  const row = await tx.one(lock, [id]);
  if (!row) throw new Error(`customer ${id} is gone between two statements`);
  return row;
}

export async function setVersion(tx: Queryable, id: string, version: number): Promise<void> {
  await tx.run(raiseVersion, [id, version]);
}

/** Resolves to true if the person had not said the same before. */
export async function saveConsent(
  tx: Queryable,
  customerId: string,
  purpose: string,
  granted: boolean,
): Promise<boolean> {
  return (await tx.one(upsertConsent, [customerId, purpose, granted])) !== undefined;
}

export interface AddressToSave {
  id: string;
  customerId: string;
  label: string | null;
  address: PostalAddress;
}

/** Undefined where the address book is full. */
export function addAddress(tx: Queryable, saved: AddressToSave, most: number): Promise<SavedAddress | undefined> {
  return tx.one(insertAddress, [saved.id, saved.customerId, saved.label, JSON.stringify(saved.address), most]);
}

/** Undefined where the person has no such address. */
export function changeAddress(tx: Queryable, saved: AddressToSave): Promise<SavedAddress | undefined> {
  return tx.one(updateAddress, [saved.id, saved.customerId, saved.label, JSON.stringify(saved.address)]);
}

/** Resolves to false where the person has no such address. */
export async function dropAddress(tx: Queryable, id: string, customerId: string): Promise<boolean> {
  return (await tx.run(deleteAddress, [id, customerId])) > 0;
}

export interface ImportedCustomer {
  id: string;
  externalReference: string;
  country: string | null;
  name: string | null;
}

/** Adds those whose reference is new. Resolves to the number added and to everyone's id by reference. */
export async function addImported(
  tx: Queryable,
  rows: ImportedCustomer[],
): Promise<{ added: number; ids: Map<string, string> }> {
  const added = await tx.run(importNew, [JSON.stringify(rows)]);
  const found = await tx.many(byReference, [rows.map((row) => row.externalReference)]);
  return { added, ids: new Map(found.map(({ id, externalReference }) => [externalReference, id])) };
}
