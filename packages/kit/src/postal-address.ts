import type { PostalAddress } from "@crowdcrunch/events/contract";
import { invalid } from "./errors.ts";

/** An address as a GraphQL input brings it: anything may be missing. */
export type PostalAddressInput = { [Part in keyof PostalAddress]?: string | null | undefined };

/** ISO 3166-1 alpha-2, all 249 codes that are assigned; source: https://www.iso.org/obp/ui/#search/code/ (2026). */
const assigned = `
  AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
  CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
  GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP
  KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT
  MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW
  SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ
  UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`;

/** The codes of all countries, in alphabetical order. */
export const countryCodes: readonly string[] = assigned.trim().split(/\s+/);

const countries = new Set(countryCodes);

/** Most characters of each part; carriers print less, but no shopper should meet the limit. */
const longest = { name: 200, line1: 200, line2: 200, city: 100, region: 100, postalCode: 20, phone: 40 } as const;

type Text = keyof typeof longest;

/** What all post offices print. No country's own rule is checked: rules change, and a wrong refusal loses a sale. */
const postalCodePattern = /^[A-Z0-9][A-Z0-9 -]*$/;

/** True for the code of a country, in capitals. */
export function isCountryCode(code: string): boolean {
  return countries.has(code);
}

/** The code in capitals. Throws InvalidInput with the field's name where it is no country's. */
export function requireCountryCode(code: string | null | undefined, field: string): string {
  const trimmed = (code ?? "").trim().toUpperCase();
  if (trimmed === "") throw invalid(field, "A country is needed: its ISO 3166-1 alpha-2 code, for example GB.");
  if (!isCountryCode(trimmed)) throw invalid(field, "This is not an ISO 3166-1 alpha-2 country code such as GB.");
  return trimmed;
}

function part(input: PostalAddressInput, name: Text, field: string): string | undefined {
  const text = (input[name] ?? "").normalize("NFC").replaceAll(/\s+/gu, " ").trim();
  if (text.length > longest[name]) throw invalid(`${field}.${name}`, `This may have ${longest[name]} characters.`);
  // Control characters do not belong on a label; those that turn the direction of writing hide what a label says.
  if (/[\p{Cc}\u202A-\u202E\u2066-\u2069]/u.test(text))
    throw invalid(`${field}.${name}`, "This has characters that cannot be printed.");
  return text === "" ? undefined : text;
}

function needed(input: PostalAddressInput, name: Text, field: string, what: string): string {
  const text = part(input, name, field);
  if (text === undefined) throw invalid(`${field}.${name}`, `${what} is needed.`);
  return text;
}

/**
 * The address with its parts trimmed, its postal code and country in capitals, and without empty parts. `field` is where
 * it stands in the input. Throws InvalidInput that names the first bad part, for example `shipTo.countryCode`.
 */
export function requireAddress(input: PostalAddressInput | null | undefined, field: string): PostalAddress {
  if (!input) throw invalid(field, "An address is needed.");
  const countryCode = requireCountryCode(input.countryCode, `${field}.countryCode`);
  const name = needed(input, "name", field, "The name of who receives it");
  const line1 = needed(input, "line1", field, "Street and number");
  const line2 = part(input, "line2", field);
  const city = needed(input, "city", field, "A town or city");
  const region = part(input, "region", field);
  const postalCode = needed(input, "postalCode", field, "A postal code").toUpperCase();
  if (!postalCodePattern.test(postalCode)) {
    throw invalid(`${field}.postalCode`, "A postal code has letters, digits, spaces and hyphens only.");
  }
  const phone = part(input, "phone", field);
  if (phone !== undefined && !/^\+?[0-9 ()./-]{3,}$/.test(phone)) {
    throw invalid(`${field}.phone`, "A telephone number has digits, spaces and + ( ) . / - only.");
  }
  return {
    name,
    line1,
    ...(line2 === undefined ? {} : { line2 }),
    city,
    ...(region === undefined ? {} : { region }),
    postalCode,
    countryCode,
    ...(phone === undefined ? {} : { phone }),
  };
}
