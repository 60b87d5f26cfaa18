import { describe, expect, it } from "vitest";
import { Problem } from "./errors.ts";
import { countryCodes, requireAddress } from "./postal-address.ts";
import type { PostalAddressInput } from "./postal-address.ts";

const good: PostalAddressInput = {
  name: "Ada Lovelace",
  line1: "12 St James's Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  countryCode: "GB",
};

function fieldOf(input: PostalAddressInput | null | undefined): unknown {
  try {
    requireAddress(input, "shipTo");
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    expect((error as Problem).typename).toBe("InvalidInput");
    return (error as Problem).fields["field"];
  }
  return undefined;
}

describe("requireAddress", () => {
  it("trims, writes codes in capitals and drops empty parts", () => {
    const untidy = {
      ...good,
      name: "  Ada \n Lovelace ",
      line2: " ",
      region: null,
      postalCode: "sw1y 4jh",
      countryCode: "gb",
    };
    expect(requireAddress(untidy, "shipTo")).toEqual(good);
    expect(requireAddress({ ...good, line2: "Flat 3", phone: "+44 (20) 7946-0000" }, "shipTo")).toEqual({
      ...good,
      line2: "Flat 3",
      phone: "+44 (20) 7946-0000",
    });
  });

  it.each([
    ["shipTo", null],
    ["shipTo", undefined],
    ["shipTo.countryCode", { ...good, countryCode: undefined }],
    ["shipTo.countryCode", { ...good, countryCode: "" }],
    ["shipTo.countryCode", { ...good, countryCode: "UK" }],
    ["shipTo.countryCode", { ...good, countryCode: "GBR" }],
    ["shipTo.name", { ...good, name: " " }],
    ["shipTo.name", { ...good, name: "a".repeat(201) }],
    ["shipTo.name", { ...good, name: "Ada\u202Eecalevol" }],
    ["shipTo.line1", { ...good, line1: null }],
    ["shipTo.line2", { ...good, line2: "a".repeat(201) }],
    ["shipTo.city", { ...good, city: "" }],
    ["shipTo.postalCode", { ...good, postalCode: "" }],
    ["shipTo.postalCode", { ...good, postalCode: "<b>" }],
    ["shipTo.postalCode", { ...good, postalCode: "1".repeat(21) }],
    ["shipTo.phone", { ...good, phone: "call me" }],
  ])("names %s as the part that is wrong in %j", (field, input) => {
    expect(fieldOf(input)).toBe(field);
  });

  it("knows the 249 countries and no code twice", () => {
    expect(countryCodes).toHaveLength(249);
    expect(new Set(countryCodes).size).toBe(249);
    expect(fieldOf({ ...good, countryCode: "HK", postalCode: "999077" })).toBeUndefined();
  });
});
