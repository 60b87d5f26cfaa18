/** What a test card makes the provider do. */
export type Behaviour =
  | "ok"
  | "declined"
  | "insufficient_funds"
  | "lost"
  | "action_required"
  | "timeout"
  | "error"
  | "capture_fails"
  | "refund_fails"
  | "disputed";

export interface Card {
  behaviour: Behaviour;
  brand: string;
  last4: string;
}

/** Test numbers; where Stripe has one for the same purpose it is Stripe's. */
const behaviourOfNumber: Record<string, Behaviour> = {
  "4242424242424242": "ok",
  "5555555555554444": "ok",
  "378282246310005": "ok",
  "4000000000000002": "declined",
  "4000000000009995": "insufficient_funds",
  "4000000000009987": "lost",
  "4000000000003220": "action_required",
  "4000000000000341": "timeout",
  "4000000000000119": "error",
  "4000000000000093": "capture_fails",
  "4000000000005126": "refund_fails",
  "4000000000000259": "disputed",
};

const fixedTokens = new Map<string, Card>();
for (const [number, behaviour] of Object.entries(behaviourOfNumber)) {
  const token = `tok_${behaviour}`;
  if (!fixedTokens.has(token)) fixedTokens.set(token, { behaviour, brand: brandOf(number), last4: number.slice(-4) });
}

/** The card of a token that always exists: `tok_ok`, `tok_declined` and so on. */
export function fixedCard(token: string): Card | undefined {
  return fixedTokens.get(token);
}

/** The card of a test number, spaces allowed; undefined for any other, so that nobody leaves a real card here. */
export function testCard(cardNumber: string): Card | undefined {
  const number = cardNumber.replaceAll(" ", "");
  const behaviour = behaviourOfNumber[number];
  return behaviour && { behaviour, brand: brandOf(number), last4: number.slice(-4) };
}

function brandOf(number: string): string {
  return number.startsWith("4") ? "visa" : number.startsWith("5") ? "mastercard" : "amex";
}

/** Why an authorization with this card fails at once, for ever; undefined if it does not. */
export function declineCode(behaviour: Behaviour): string | undefined {
  if (behaviour === "declined") return "CARD_DECLINED";
  if (behaviour === "insufficient_funds") return "INSUFFICIENT_FUNDS";
  if (behaviour === "lost") return "LOST_CARD";
  return undefined;
}
