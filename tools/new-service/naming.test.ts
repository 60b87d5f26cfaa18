import { describe, expect, test } from "vitest";
import { chooseNames } from "./naming.ts";

describe("a new service", () => {
  test.each([
    ["reviews", undefined, { name: "reviews", Type: "Review", type: "review", port: "4009" }],
    ["loyalty", undefined, { name: "loyalty", Type: "Loyalty", type: "loyalty", port: "4009" }],
    ["enquiries", undefined, { name: "enquiries", Type: "Enquiry", type: "enquiry", port: "4009" }],
    ["carts", "SavedCart", { name: "carts", Type: "SavedCart", type: "savedCart", port: "4009" }],
  ])("%s, entity %s", (name, type, names) => {
    expect(chooseNames(name, type)).toEqual(names);
  });

  test.each([
    [undefined, undefined, "Say what the service is called: make new-service NAME=reviews."],
    ["Reviews", undefined, `NAME is "Reviews"; a service's name has 2 to 30 small letters`],
    ["re-views", undefined, `NAME is "re-views"`],
    ["orders", undefined, "There is a service orders already, in services/orders."],
    ["gateway", undefined, `NAME is "gateway", which is another part of the shop`],
    ["image", undefined, `NAME is "image", which is another part of the shop`],
    ["order", undefined, `NAME is "order", a word of SQL or TypeScript`],
    ["carts", undefined, "The graph has Cart already, of frontend: say what the new entity is called with TYPE=…."],
    ["stock", "availability", `TYPE is "availability"`],
    ["strings", undefined, "The entity of strings would be String, a word of TypeScript or GraphQL"],
    ["cases", undefined, "The entity of cases would be Case, a word of TypeScript or GraphQL"],
    // createCoupon has made this name for its input.
    ["vouchers", "Coupon", "The graph has Coupon already, of orders"],
  ])("%s, entity %s, is refused", (name, type, sentence) => {
    expect(() => chooseNames(name, type)).toThrow(sentence);
  });
});
