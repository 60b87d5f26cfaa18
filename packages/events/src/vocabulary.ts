import Type from "typebox";
import type { Static } from "typebox";
import { Uuid } from "./contract.ts";

// Words that events of several publishers share.

/** A sum in minor units that cannot be negative. */
export const Amount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A sum in minor units that must be something. */
export const PositiveAmount = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** What the provider gave for a card; never the card itself. */
export const PaymentToken = Type.String({ minLength: 1, maxLength: 512 });

/** A reason that programs tell apart. New codes need no new version: a consumer shows those that it does not know. */
export const Code = Type.String({ pattern: "^[A-Z][A-Z0-9_]{0,63}$" });

/** Of a product, or of a SKU as an order shows it. The limit keeps an order of 1,000 lines within one event. */
export const ItemName = Type.String({ minLength: 1, maxLength: 200 });

export const EmailAddress = Type.String({ minLength: 3, maxLength: 254 });

/** The number that people read aloud: of an order, or of a return. */
export const ReadableNumber = Type.String({ minLength: 1, maxLength: 32 });

/** Who acted, for timelines. Absent where the system did. */
export const Actor = Type.Object({ id: Uuid, role: Type.Enum(["GUEST", "SHOPPER", "STAFF", "ADMIN"]) });
export type Actor = Static<typeof Actor>;

/** Where a mail about an order goes and what it calls the order. Without an address the one of the profile is meant. */
export const correspondence = { number: ReadableNumber, email: Type.Optional(EmailAddress) };
