import type { EventOf } from "@crowdcrunch/events/contract";
import type { cartAbandoned } from "@crowdcrunch/events/frontend";
import type {
  orderCancelled,
  orderConfirmed,
  orderRefunded,
  orderRejected,
  orderShipped,
} from "@crowdcrunch/events/orders";
import type { emailVerificationRequested, passwordResetRequested } from "@crowdcrunch/events/users";
import {
  cancellation,
  cartReminder,
  confirmation,
  dispatch,
  emailVerification,
  passwordReset,
  refund,
  rejection,
} from "./letter-texts.ts";
import type { LetterText } from "./letter-texts.ts";

// Which mail an event asks for, and to whom.

/** Events that a person is told of by mail. */
export type LetterEvent = EventOf<
  | typeof passwordResetRequested
  | typeof emailVerificationRequested
  | typeof orderConfirmed
  | typeof orderRejected
  | typeof orderCancelled
  | typeof orderShipped
  | typeof orderRefunded
  | typeof cartAbandoned
>;

/** A mail to be sent. Its id is the event's. */
export interface Letter extends LetterText {
  id: string;
  customerId: string;
  kind: string;
  /** The id of what it is about. */
  about: string;
  /** Null for the address of the profile. */
  email: string | null;
  /** After it the link is of no use; null for no end. */
  expiresAt: string | null;
}

/** Where links lead. */
export interface Links {
  publicUrl: string;
  /** The token of an order's link that a mail of this time contains. */
  orderToken(order: { orderId: string; customerId: string }, at: Date): string;
}

/** The mail that the event asks for; undefined where there is nothing to tell. */
export function letterOf(event: LetterEvent, links: Links): Letter | undefined {
  const base = links.publicUrl.replace(/\/+$/, "");
  switch (event.type) {
    case "users.password-reset-requested.v1": {
      const link = `${base}/account/reset?token=${encodeURIComponent(event.data.linkToken)}`;
      return toAccount(event, "PASSWORD_RESET", passwordReset(link, new Date(event.data.expiresAt)));
    }
    case "users.email-verification-requested.v1": {
      const link = `${base}/account/verify?token=${encodeURIComponent(event.data.linkToken)}`;
      return toAccount(event, "EMAIL_VERIFICATION", emailVerification(link, new Date(event.data.expiresAt)));
    }
    case "frontend.cart-abandoned.v1": {
      const { cartId, customerId, lines } = event.data;
      const text = cartReminder(lines, `${base}/cart`);
      return { id: event.id, customerId, kind: "CART_REMINDER", about: cartId, email: null, expiresAt: null, ...text };
    }
    default: {
      const { orderId, customerId, number, email } = event.data;
      const token = links.orderToken({ orderId, customerId }, new Date(event.time));
      const told = aboutOrder(event, `${base}/orders/${encodeURIComponent(number)}?key=${token}`);
      return told && { id: event.id, customerId, about: orderId, email: email ?? null, expiresAt: null, ...told };
    }
  }
}

type AccountEvent = EventOf<typeof passwordResetRequested | typeof emailVerificationRequested>;
type OrderEvent = Exclude<LetterEvent, AccountEvent | EventOf<typeof cartAbandoned>>;

function toAccount({ id, data }: AccountEvent, kind: string, text: LetterText): Letter {
  return {
    id,
    customerId: data.userId,
    kind,
    about: data.userId,
    email: data.email,
    expiresAt: data.expiresAt,
    ...text,
  };
}

function aboutOrder(event: OrderEvent, link: string): (LetterText & { kind: string }) | undefined {
  switch (event.type) {
    case "orders.order-confirmed.v1":
      return { kind: "ORDER_CONFIRMED", ...confirmation(event.data, link) };
    case "orders.order-rejected.v1":
      return { kind: "ORDER_REJECTED", ...rejection(event.data, link) };
    case "orders.order-cancelled.v1":
      return { kind: "ORDER_CANCELLED", ...cancellation(event.data, link) };
    case "orders.order-shipped.v1": {
      // Digital goods come with a mail of their own, from fulfillment.
      const lines = event.data.lines.filter((line) => !line.digital);
      return lines.length === 0 ? undefined : { kind: "ORDER_SHIPPED", ...dispatch({ ...event.data, lines }, link) };
    }
    case "orders.order-refunded.v1":
      return { kind: "ORDER_REFUNDED", ...refund(event.data, link) };
  }
}

/** The text without the secrets in its links: whoever may read a mail here is not whom the link was for. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(/([?&](?:key|token)=)[^\s&]+/g, "$1…");
}
