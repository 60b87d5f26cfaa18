import { expect, test } from "vitest";
import { money, timelineLine } from "./words.ts";

const at = "2026-03-01T10:20:30.456Z";

test("a timeline's line says when, what, particulars and who", () => {
  const line = (what: string, detail: string | null = null, role?: string) =>
    timelineLine({ at, what, detail, actor: role ? { role } : null }, "GBP");
  expect(line("PLACED", null, "SHOPPER")).toBe("10:20:30.456  the order is placed · by the shopper");
  expect(line("DISPATCHED", "CC4X9K", "STAFF")).toBe("10:20:30.456  the parcel is dispatched · CC4X9K · by staff");
  expect(line("PAYMENT_CAPTURED", "1250")).toBe("10:20:30.456  taken from the card · £12.50");
  expect(line("REFUND_REQUESTED", "950 RETURN", "ADMIN")).toBe(
    "10:20:30.456  refund requested · £9.50 for a return · by staff",
  );
  const sent = { at, what: "DIGITAL_GOODS_SENT", detail: null, actor: null };
  const delivered = { at, what: "DELIVERED", detail: null, actor: null };
  expect(timelineLine(delivered, "GBP", sent)).toBe("10:20:30.456  which delivers the download");
  expect(timelineLine(delivered, "GBP", { ...sent, what: "DISPATCHED" })).toBe("10:20:30.456  the parcel is delivered");
  expect(line("SOMETHING_NEW", "x")).toBe("10:20:30.456  something new · x");
});

test("sums read as people write them", () => {
  expect([5, 123_456].map((amountMinor) => money({ amountMinor, currency: "EUR" }))).toEqual(["€0.05", "€1,234.56"]);
});
