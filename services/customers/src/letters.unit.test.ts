import type { ParsedEvent } from "@crowdcrunch/events/contract";
import { describe, expect, it } from "vitest";
import { formatMoney } from "./letter-texts.ts";
import { letterOf, withoutSecrets } from "./letters.ts";
import type { LetterEvent } from "./letters.ts";

const links = {
  publicUrl: "https://shop.example/",
  orderToken: ({ orderId, customerId }: { orderId: string; customerId: string }, at: Date) =>
    `${orderId}.${customerId}.${at.toISOString().slice(0, 10)}`,
};

function event(type: LetterEvent["type"], data: object): LetterEvent {
  const head: ParsedEvent = {
    id: "event",
    type,
    key: "o",
    subject: "o",
    sequence: 1,
    time: "2026-03-01T12:00:00.000Z",
    data,
  };
  return head as LetterEvent;
}

const order = {
  orderId: "order",
  customerId: "ada",
  version: 1,
  number: "7KQ-M2X",
  email: "ada@example.com",
  currency: "GBP",
};
const mug = {
  lineId: "l1",
  skuId: "s1",
  name: "Mug, blue",
  quantity: 2,
  digital: false,
  unitMinor: 950,
  paidMinor: 1_900,
};
const song = { lineId: "l2", skuId: "s2", name: "Song", quantity: 1, digital: true, unitMinor: 99, paidMinor: 99 };
const totals = { itemsMinor: 1_666, taxMinor: 333, shippingMinor: 499, discountMinor: 100, totalMinor: 2_398 };
const shipTo = {
  name: "Ada Lovelace",
  line1: "12 St James's Square",
  city: "London",
  postalCode: "SW1Y 4JH",
  countryCode: "GB",
};

describe("formatMoney", () => {
  it.each([
    [123_450, "GBP", "£1,234.50"],
    [-5, "GBP", "-£0.05"],
    [0, "EUR", "€0.00"],
    [1_200, "JPY", "JP¥1,200"],
    [1_234, "KWD", "KWD 1.234"],
    [Number.MAX_SAFE_INTEGER, "GBP", "£90,071,992,547,409.91"],
  ])("writes %d %s as %s", (amountMinor, currency, text) => {
    expect(formatMoney(amountMinor, currency).replaceAll("\u00A0", " ")).toBe(text);
  });
});

describe("letterOf", () => {
  it("tells what was ordered, what it costs and where it goes", () => {
    const confirmed = { ...order, kind: "SALE", lines: [mug, song], totals, shippingMethod: "standard", shipTo };
    expect(letterOf(event("orders.order-confirmed.v1", confirmed), links)).toEqual({
      id: "event",
      customerId: "ada",
      kind: "ORDER_CONFIRMED",
      about: "order",
      email: "ada@example.com",
      expiresAt: null,
      subject: "Your order 7KQ-M2X is confirmed",
      text: `Hello Ada Lovelace,

thank you for your order 7KQ-M2X. We have everything that you chose:

  2 × Mug, blue, £19.00
  1 × Song, £0.99

  Goods     £19.99
  Discount  -£1.00
  Shipping  £4.99
  Total     £23.98
  including £3.33 tax

It goes to:
  Ada Lovelace
  12 St James's Square
  SW1Y 4JH London
  GB

We write again when the parcel leaves.

What you can download comes with a mail of its own.

See how it stands:
https://shop.example/orders/7KQ-M2X?key=order.ada.2026-03-01

Yours,
CrowdCrunch
`,
    });
  });

  it("lists forty lines of a wholesaler's order", () => {
    const lines = Array.from({ length: 1_000 }, (_, index) => ({ ...mug, name: `Thing ${index + 1}` }));
    const confirmed = { ...order, kind: "SALE", lines, totals, shippingMethod: "standard" };
    const text = letterOf(event("orders.order-confirmed.v1", confirmed), links)?.text ?? "";
    expect(text).toContain("Thing 40,");
    expect(text).not.toContain("Thing 41,");
    expect(text).toContain("… and 960 more");
  });

  it("tells of the parcel's lines alone, and of none where nothing is in a parcel", () => {
    const shipped = {
      ...order,
      trackingCode: "CC123",
      lines: [mug, song],
      captureMinor: 0,
      captureSequence: 1,
      completesShipping: true,
    };
    const letter = letterOf(event("orders.order-shipped.v1", shipped), links);
    expect(letter?.text).toContain("2 × Mug, blue");
    expect(letter?.text).not.toContain("Song");
    expect(letter?.text).toContain("CC123");
    expect(letterOf(event("orders.order-shipped.v1", { ...shipped, lines: [song] }), links)).toBeUndefined();
  });

  it.each([
    [
      "orders.order-rejected.v1",
      { reason: "OUT_OF_STOCK", lines: [{ name: "Mug", requested: 2, available: 0 }] },
      "Mug: 2 ordered, none in stock",
    ],
    [
      "orders.order-cancelled.v1",
      { whole: true, reason: "DEADLINE", lines: [mug] },
      "was cancelled because it was not paid in time.",
    ],
    [
      "orders.order-cancelled.v1",
      { whole: false, reason: "NEW_CODE", lines: [mug] },
      "a part of your order 7KQ-M2X was cancelled:",
    ],
    ["orders.order-refunded.v1", { amountMinor: 1_900, lines: [mug] }, "we have paid back £19.00"],
    ["orders.order-refunded.v1", { amountMinor: 0, lines: [] }, "there was nothing to pay back"],
  ] as const)("writes for %s what happened", (type, data, sentence) => {
    const letter = letterOf(event(type, { ...order, ...data }), links);
    expect(letter?.text).toContain(sentence);
    expect(letter?.subject).toContain("7KQ-M2X");
    expect(letter?.text).toContain("https://shop.example/orders/7KQ-M2X?key=");
  });

  it("puts the token of an account's link where it cannot be misread", () => {
    const request = {
      userId: "ada",
      email: "ada@example.com",
      linkToken: "a+b/c=&x",
      expiresAt: "2026-03-01T13:00:00.000Z",
    };
    const letter = letterOf(event("users.password-reset-requested.v1", request), links);
    expect(letter).toMatchObject({
      kind: "PASSWORD_RESET",
      customerId: "ada",
      about: "ada",
      expiresAt: request.expiresAt,
    });
    expect(letter?.text).toContain("https://shop.example/account/reset?token=a%2Bb%2Fc%3D%26x\n");
    expect(letter?.text).toContain("1 March 2026 at 13:00 UTC");
  });
});

describe("withoutSecrets", () => {
  it("takes keys and tokens out of links and nothing else", () => {
    expect(withoutSecrets("see https://a/b?key=s3cr-et.x and https://a/c?x=1&token=t&y=2 ok?")).toBe(
      "see https://a/b?key=… and https://a/c?x=1&token=…&y=2 ok?",
    );
  });
});
