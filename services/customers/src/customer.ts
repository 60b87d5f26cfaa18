import type { PostalAddress } from "@crowdcrunch/events/contract";
import type { ConsentPurpose } from "@crowdcrunch/events/customers";
import { invalid } from "@crowdcrunch/kit/errors";

// People as customers: types and limits.

/** What the graph knows as a customer; a guest has nothing but the id. */
export interface Customer {
  id: string;
  name: string | null;
  email: string | null;
  country: string | null;
  externalReference: string | null;
}

export interface SavedAddress {
  id: string;
  customerId: string;
  label: string | null;
  address: PostalAddress;
}

export interface Consent {
  purpose: ConsentPurpose;
  granted: boolean;
  changedAt: Date | null;
}

/** Addresses that a person may keep. */
export const mostAddresses = 50;

/** Customers that one import may bring. */
export const mostImported = 500;

const purposes: ConsentPurpose[] = ["RECOMMENDATIONS", "CART_REMINDERS"];

/** What the person said to every purpose; silence is no. */
export function allConsents(said: Consent[]): Consent[] {
  return purposes.map(
    (purpose) => said.find((consent) => consent.purpose === purpose) ?? { purpose, granted: false, changedAt: null },
  );
}

/** A person of whom nothing is known. */
export function unknownCustomer(id: string): Customer {
  return { id, name: null, email: null, country: null, externalReference: null };
}

/** The text without spaces around it, or null for none. Throws InvalidInput if it is longer than `most`. */
export function shortText(text: string | null | undefined, most: number, field: string): string | null {
  const trimmed = (text ?? "").trim();
  if (trimmed.length > most) throw invalid(field, `This may have ${most} characters.`);
  if (/\p{Cc}/u.test(trimmed)) throw invalid(field, "This has characters that cannot be printed.");
  return trimmed === "" ? null : trimmed;
}
