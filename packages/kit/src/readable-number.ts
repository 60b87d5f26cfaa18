import { randomBytes } from "node:crypto";

/** Crockford's base32: no I, L, O or U, so that a number can be read aloud and typed without doubt. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** A random number of ten characters for people: 50 bits, so that nobody guesses a neighbour's. */
export function readableNumber(random: (size: number) => Uint8Array = randomBytes): string {
  return Array.from(random(10), (byte) => alphabet[byte & 31]).join("");
}
