import type { EventOf } from "@crowdcrunch/events/contract";
import type { cartAbandoned } from "@crowdcrunch/events/frontend";
import type {
  orderCancelled,
  orderConfirmed,
  orderRefunded,
  orderRejected,
  orderShipped,
} from "@crowdcrunch/events/orders";

// What mails say. Plain text: it reads the same everywhere.

export interface LetterText {
  subject: string;
  text: string;
}

type Data<Contract> = EventOf<Contract>["data"];
interface Counted {
  name: string;
  quantity: number;
}

/** Formats by currency; making one takes longer than a whole letter. */
const moneyFormats = new Map(
  ["GBP", "EUR", "USD"].map((currency) => [currency, new Intl.NumberFormat("en-GB", { style: "currency", currency })]),
);

/** A sum as people write it, for example £1,234.50; exact for every safe integer. */
export function formatMoney(amountMinor: number, currency: string): string {
  const format = moneyFormats.get(currency) ?? new Intl.NumberFormat("en-GB", { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  const padded = String(Math.abs(amountMinor)).padStart(digits + 1, "0");
  const whole = padded.slice(0, padded.length - digits);
  const decimal = digits === 0 ? whole : `${whole}.${padded.slice(-digits)}`;
  return format.format(`${amountMinor < 0 ? "-" : ""}${decimal}` as Intl.StringNumericLiteral);
}

const moment = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });

/** A moment as people write it, for example 1 March 2026 at 12:00 UTC. */
function formatMoment(at: Date): string {
  return `${moment.format(at)} UTC`;
}

const mostListed = 40;

/** One line of text for each, the first forty; a wholesaler's order has a thousand. */
function list<Item>(items: Item[], line: (item: Item) => string): string {
  const more = items.length - mostListed;
  return [
    ...items.slice(0, mostListed).map((item) => `  ${line(item)}`),
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ].join("\n");
}

const counted = ({ name, quantity }: Counted) => `${quantity} × ${name}`;

function letter(subject: string, paragraphs: (string | undefined)[]): LetterText {
  const text = [...paragraphs.filter((paragraph) => paragraph !== undefined), "Yours,\nCrowdCrunch"].join("\n\n");
  return { subject, text: `${text}\n` };
}

/** Whoever asked chooses a new password behind the link. */
export function passwordReset(link: string, expiresAt: Date): LetterText {
  return letter("Choose a new password", [
    "Hello,",
    `somebody, hopefully you, asked for a new password for your account. Choose it here:\n\n${link}`,
    `The link works once, until ${formatMoment(expiresAt)}. If it was not you, do nothing: your password stays as it is.`,
  ]);
}

/** The person behind the link has shown to receive mail at the address. */
export function emailVerification(link: string, expiresAt: Date): LetterText {
  return letter("Please confirm your e-mail address", [
    "Welcome!",
    `Please confirm that this is your e-mail address:\n\n${link}`,
    `The link works until ${formatMoment(expiresAt)}. If you have no account with us, ignore this mail.`,
  ]);
}

export function confirmation(order: Data<typeof orderConfirmed>, link: string): LetterText {
  const { number, kind, lines, totals, currency, shipTo } = order;
  const money = (amountMinor: number) => formatMoney(amountMinor, currency);
  const sums = [
    `  Goods     ${money(totals.itemsMinor + totals.taxMinor)}`,
    ...(totals.discountMinor > 0 ? [`  Discount  ${money(-totals.discountMinor)}`] : []),
    ...(totals.shippingMinor > 0 ? [`  Shipping  ${money(totals.shippingMinor)}`] : []),
    `  Total     ${money(totals.totalMinor)}`,
    ...(totals.taxMinor > 0 ? [`  including ${money(totals.taxMinor)} tax`] : []),
  ];
  const replacement = kind === "REPLACEMENT";
  return letter(replacement ? `Your replacement ${number} is confirmed` : `Your order ${number} is confirmed`, [
    shipTo ? `Hello ${shipTo.name},` : "Hello,",
    replacement
      ? `your replacement is on its way to you soon. Its number is ${number}.`
      : `thank you for your order ${number}. We have everything that you chose:`,
    list(lines, (line) => `${counted(line)}, ${money(line.unitMinor * line.quantity)}`),
    sums.join("\n"),
    shipTo ? `It goes to:\n${addressLines(shipTo)}\n\nWe write again when the parcel leaves.` : undefined,
    lines.some((line) => line.digital) ? "What you can download comes with a mail of its own." : undefined,
    `See how it stands:\n${link}`,
  ]);
}

function addressLines(address: NonNullable<Data<typeof orderConfirmed>["shipTo"]>): string {
  const { name, line1, line2, city, region, postalCode, countryCode } = address;
  return [name, line1, line2, `${postalCode} ${city}`, region, countryCode]
    .filter((line) => line !== undefined)
    .map((line) => `  ${line}`)
    .join("\n");
}

export function rejection({ number, lines }: Data<typeof orderRejected>, link: string): LetterText {
  const short = lines.map(({ name, requested, available }) => ({
    name: name ?? "an article that we do not sell any more",
    requested,
    available,
  }));
  return letter(`We could not accept your order ${number}`, [
    "Hello,",
    `we are sorry: we do not have all that you ordered with ${number}, so nothing of it was sent and nothing was charged.`,
    short.length === 0
      ? undefined
      : list(
          short,
          ({ name, requested, available }) =>
            `${name}: ${requested} ordered, ${available === 0 ? "none" : available} in stock`,
        ),
    "Your cart is as it was, so that you can change it and order again.",
    `The order:\n${link}`,
  ]);
}

const cancellationReasons: Record<string, string> = {
  SHOPPER: "as you asked",
  STAFF: "after a decision of our staff",
  DEADLINE: "because it was not paid in time",
  DELIVERY_FAILED: "because it could not be delivered",
  CAPTURE_FAILED: "because the payment could not be collected",
  WITHDRAWN: "because its exchange was withdrawn",
};

export function cancellation({ number, lines, whole, reason }: Data<typeof orderCancelled>, link: string): LetterText {
  const why = cancellationReasons[reason];
  const because = why === undefined ? "" : ` ${why}`;
  return letter(whole ? `Your order ${number} is cancelled` : `A part of your order ${number} is cancelled`, [
    "Hello,",
    whole ? `your order ${number} was cancelled${because}.` : `a part of your order ${number} was cancelled${because}:`,
    list(lines, counted),
    "What was held on your card for it is released; your bank may take some days to show that.",
    `The order:\n${link}`,
  ]);
}

export function dispatch(
  { number, lines, trackingCode }: Pick<Data<typeof orderShipped>, "number" | "lines" | "trackingCode">,
  link: string,
): LetterText {
  return letter(`A parcel of your order ${number} is on its way`, [
    "Hello,",
    `a parcel of your order ${number} has left. In it:`,
    list(lines, counted),
    trackingCode === undefined ? undefined : `Its tracking code is ${trackingCode}.`,
    `See where it is:\n${link}`,
  ]);
}

export function refund({ number, lines, amountMinor, currency }: Data<typeof orderRefunded>, link: string): LetterText {
  const sum = formatMoney(amountMinor, currency);
  return letter(`A refund for your order ${number}`, [
    "Hello,",
    amountMinor === 0
      ? `what you returned of your order ${number} has been settled; there was nothing to pay back.`
      : `we have paid back ${sum} for your order ${number}. Your bank may take some days to show that.`,
    lines.length === 0 ? undefined : `It is for:\n${list(lines, counted)}`,
    `The order:\n${link}`,
  ]);
}

export function cartReminder(lines: Data<typeof cartAbandoned>["lines"], link: string): LetterText {
  return letter("Your cart is still here", [
    "Hello,",
    "you left something in your cart:",
    list(lines, counted),
    `It waits for you:\n${link}`,
    "You get this mail because you agreed to reminders, and only once for this cart. You can change your mind in your account.",
  ]);
}
