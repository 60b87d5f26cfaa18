import { statement } from "@crowdcrunch/kit/database";
import type { Queryable } from "@crowdcrunch/kit/database";

// People as they come, are claimed and go.

const upsertProfiles = statement(
  "profileUpsert",
  `INSERT INTO customers AS c (id, email, name)
   SELECT "userId", email, name FROM json_to_recordset($1::json) AS n("userId" uuid, email text, name text)
   WHERE NOT EXISTS (SELECT FROM erased WHERE customer_id = "userId")
   ORDER BY "userId"
   ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = coalesce(excluded.name, c.name)`,
);
const addressMails = statement(
  "mailAddress",
  `UPDATE mails m SET email = c.email FROM customers c
   WHERE m.customer_id = ANY($1::uuid[]) AND m.email IS NULL AND c.id = m.customer_id`,
);
const insertClaims = statement(
  "claimInsert",
  `INSERT INTO claims (guest_id, user_id)
   SELECT "guestId", "userId" FROM json_to_recordset($1::json) AS n("guestId" uuid, "userId" uuid)
   ON CONFLICT DO NOTHING`,
);
const moveAddresses = statement(
  "addressMove",
  `UPDATE addresses a SET customer_id = c.user_id FROM claims c WHERE a.customer_id = c.guest_id AND c.guest_id = ANY($1::uuid[])`,
);
const moveMails = statement(
  "mailMove",
  `UPDATE mails m SET customer_id = c.user_id FROM claims c WHERE m.customer_id = c.guest_id AND c.guest_id = ANY($1::uuid[])`,
);
const markErased = statement<{ at: Date }>("erasedInsert", `INSERT INTO erased (customer_id) VALUES ($1) RETURNING at`);
const redactProfile = statement(
  "customerRedact",
  `UPDATE customers SET name = NULL, email = NULL, country = NULL, external_reference = NULL WHERE id = $1`,
);
const dropAddresses = statement("addressDropOf", `DELETE FROM addresses WHERE customer_id = ANY($1::uuid[])`);
const dropConsents = statement("consentDropOf", `DELETE FROM consents WHERE customer_id = ANY($1::uuid[])`);
const dropMails = statement("mailDropOf", `DELETE FROM mails WHERE customer_id = ANY($1::uuid[])`);
const erasedAmong = statement<{ customerId: string }>(
  "erasedAmong",
  `SELECT customer_id AS "customerId" FROM erased WHERE customer_id = ANY($1::uuid[])`,
);

export interface Profile {
  userId: string;
  email: string;
  name: string | null;
}

/** Keeps the profiles, a person once, and sends mails that waited for the address there. */
export async function saveProfiles(tx: Queryable, profiles: Profile[]): Promise<void> {
  await tx.run(upsertProfiles, [JSON.stringify(profiles)]);
  await tx.run(addressMails, [profiles.map(({ userId }) => userId)]);
}

/** The guests' addresses and mails are the accounts', now and what comes late; those of forgotten people go. */
export async function claimGuests(tx: Queryable, claims: { guestId: string; userId: string }[]): Promise<void> {
  const guests = claims.map(({ guestId }) => guestId);
  await tx.run(insertClaims, [JSON.stringify(claims)]);
  await tx.run(moveAddresses, [guests]);
  await tx.run(moveMails, [guests]);
  const erased = (await tx.many(erasedAmong, [claims.map(({ userId }) => userId)])).map((row) => row.customerId);
  if (erased.length > 0) await dropAllOf(tx, erased);
}

async function dropAllOf(tx: Queryable, customerIds: string[]): Promise<void> {
  await tx.run(dropAddresses, [customerIds]);
  await tx.run(dropConsents, [customerIds]);
  await tx.run(dropMails, [customerIds]);
}

/** Forgets the person, whose row must be locked. Resolves to the moment. */
export async function forgetCustomer(tx: Queryable, id: string): Promise<Date> {
  const row = await tx.one(markErased, [id]);
  if (!row) throw new Error(`customer ${id} was not marked as forgotten`);
  await tx.run(redactProfile, [id]);
  await dropAllOf(tx, [id]);
  return row.at;
}
