import { countryCodes } from "@crowdcrunch/kit/postal-address";

const englishNames = new Intl.DisplayNames("en", { type: "region" });

const codes = new Map(countryCodes.map((code) => [englishNames.of(code), code]));
// Names of the files that are not the English one.
for (const [name, code] of [
  ["EIRE", "IE"],
  ["Channel Islands", "JE"],
  ["USA", "US"],
  ["RSA", "ZA"],
  ["Hong Kong", "HK"],
  ["Czech Republic", "CZ"],
  ["Korea", "KR"],
] as const)
  codes.set(name, code);

/** The ISO 3166-1 code of a country as the files name it; undefined for what is none ("Unspecified"). */
export function countryCodeOf(country: string): string | undefined {
  return codes.get(country);
}
