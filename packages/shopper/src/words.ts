/** How things are said to people: money, times, and what stands in an order's timeline. Pure. */

export interface Money {
  amountMinor: number;
  currency: string;
}

export interface TimelineEntry {
  at: string;
  what: string;
  detail: string | null;
  actor: { role: string } | null;
}

/** A sum, for example £12.50; the demo's shop sells in currencies of a hundred parts. */
export function money({ amountMinor, currency }: Money): string {
  return new Intl.NumberFormat("en-GB", { style: "currency", currency }).format(amountMinor / 100);
}

/** What the entries are called; `detail` is a particular or, where `isSum`, minor units. */
const phrases: Record<string, { text: string; isSum?: boolean }> = {
  PLACED: { text: "the order is placed" },
  STOCK_RESERVED: { text: "the goods are reserved" },
  PAYMENT_REQUESTED: { text: "the card is asked" },
  PAYMENT_AUTHORIZED: { text: "the money is held on the card" },
  CONFIRMED: { text: "the order is confirmed" },
  SHIPMENT_CREATED: { text: "the parcel waits to be packed" },
  DIGITAL_GOODS_SENT: { text: "the download link is sent" },
  DISPATCHED: { text: "the parcel is dispatched" },
  DELIVERED: { text: "the parcel is delivered" },
  PAYMENT_CAPTURED: { text: "taken from the card", isSum: true },
  COMPLETED: { text: "all has arrived and is paid" },
  REASSIGNED: { text: "the order follows into the account" },
  RETURN_REQUESTED: { text: "a return is requested" },
  RETURN_APPROVED: { text: "the return is agreed to" },
  RETURN_RECEIVED: { text: "the goods are back" },
  RETURN_INSPECTED: { text: "the goods are inspected" },
  RETURN_SETTLED: { text: "the return is settled" },
  REFUNDED: { text: "the money is back on the card", isSum: true },
};

/**
 * A timeline's line: "10:20:30.456  the parcel is dispatched · CC4X9… · by staff". `previous` is the entry before it: what
 * is delivered as soon as it is sent is a download.
 */
export function timelineLine(entry: TimelineEntry, currency: string, previous?: TimelineEntry): string {
  const { at, what, detail, actor } = entry;
  const isDownload = what === "DELIVERED" && previous?.what === "DIGITAL_GOODS_SENT" && previous.at === at;
  const phrase: { text: string; isSum?: boolean } = isDownload
    ? { text: "which delivers the download" }
    : (phrases[what] ?? { text: what.toLowerCase().replaceAll("_", " ") });
  const [amount = "", reason] = (detail ?? "").split(" ");
  const isRefund = what === "REFUND_REQUESTED";
  const sum =
    (phrase.isSum || isRefund) && /^\d+$/.test(amount) ? money({ amountMinor: Number(amount), currency }) : "";
  const particular = sum
    ? [sum, isRefund && reason ? `for a ${reason.toLowerCase()}` : ""].filter(Boolean).join(" ")
    : detail;
  const who = actor ? `by ${actor.role === "STAFF" || actor.role === "ADMIN" ? "staff" : "the shopper"}` : "";
  return [`${at.slice(11, 23)}  ${phrase.text}`, particular, who].filter(Boolean).join(" · ");
}
