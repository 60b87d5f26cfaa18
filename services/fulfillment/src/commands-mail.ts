import type { Database } from "@crowdcrunch/kit/database";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Mail, Mailer } from "@crowdcrunch/kit/mail";
import type { DownloadLinks } from "./adapters/download-links.ts";
import { noEffects } from "./fulfillment.ts";
import { attemptHasFailed, deliveryIsSent, retryAfterMs } from "./mailing.ts";
import { openBook } from "./store.ts";
import type { ClaimedDelivery, LicensedFile } from "./store-deliveries.ts";
import { claimDeliveries, hasDownload, postponeDeliveries, takeDownload } from "./store-deliveries.ts";

export interface MailCommandContext {
  db: Database;
  newId: () => string;
  log: Logger;
  mailer: Mailer;
  links: DownloadLinks;
  config: {
    DOWNLOAD_DAYS: number;
    DELIVERY_ATTEMPTS: number;
    DELIVERY_RETRY_MS: number;
    DELIVERY_LEASE_SECONDS: number;
  };
}

/** What became of an attempt; no failure means that the mail went out. */
interface Attempt {
  delivery: ClaimedDelivery;
  failure?: { code: string; permanent: boolean; detail: string };
}

/** What a link leads to. */
export type Download = { state: "READY"; file: LicensedFile } | { state: "GONE" } | { state: "UNKNOWN" };

const mailsAtOnce = 50;

/** Digital goods: their mails and their links. */
export function createMailCommands(context: MailCommandContext) {
  const { db, newId, log, mailer, links, config } = context;

  /** The mail's id is the delivery's, so that a repeat replaces the former. */
  function compose(delivery: ClaimedDelivery, to: string): Mail {
    const parts = delivery.lines.map(
      ({ id, name, quantity }) => `${name}${quantity > 1 ? ` (${quantity} licences)` : ""}\n${links.urlOf(id)}`,
    );
    const until = new Date(delivery.lines[0]?.expiresAt ?? 0).toISOString().slice(0, 16).replace("T", " ");
    const text = [
      `Thank you for your order ${delivery.orderNumber}. Here is what you bought:`,
      ...parts,
      `The links last until ${until} (UTC).`,
    ];
    return { id: delivery.id, to, subject: `Your downloads of order ${delivery.orderNumber}`, text: text.join("\n\n") };
  }

  async function attempt(delivery: ClaimedDelivery): Promise<Attempt> {
    if (delivery.email === null) {
      return { delivery, failure: { code: "NO_ADDRESS", permanent: true, detail: "there is no address to mail to" } };
    }
    try {
      await mailer.send(compose(delivery, delivery.email));
      return { delivery };
    } catch (error) {
      const { message, responseCode = 0 } = error as Error & { responseCode?: number };
      log.warn({ delivery: delivery.id, attempt: delivery.attempts, error: message }, "a download mail was not sent");
      // 5xx: the mail server will not take it, however often it is asked.
      return { delivery, failure: { code: "MAIL_FAILED", permanent: responseCode >= 500, detail: message } };
    }
  }

  async function record(attempts: Attempt[]): Promise<void> {
    await db.transaction(async (tx) => {
      const book = await openBook(
        tx,
        attempts.map(({ delivery }) => delivery.orderId),
      );
      const effects = noEffects();
      const waits: { id: string; afterMs: number }[] = [];
      for (const { delivery: claimed, failure } of attempts) {
        const fulfillment = book.get(claimed.orderId);
        const delivery = fulfillment?.deliveries.find(({ id }) => id === claimed.id);
        if (!fulfillment || !delivery) continue;
        if (!failure) {
          deliveryIsSent(fulfillment, delivery, book.now, effects);
          continue;
        }
        const outcome = { ...failure, attempt: claimed.attempts, attemptsAtMost: config.DELIVERY_ATTEMPTS };
        if (attemptHasFailed(fulfillment, delivery, outcome, effects)) {
          waits.push({ id: delivery.id, afterMs: retryAfterMs(claimed.attempts, config.DELIVERY_RETRY_MS) });
        }
      }
      await book.save(effects, newId);
      await postponeDeliveries(tx, waits);
    });
  }

  return {
    /**
     * Mails what is due. The claim is committed before the mail goes and the outcome after it, so no transaction is open
     * while the mail server takes its time. Resolves to true when there may be more.
     */
    async sendDue(): Promise<boolean> {
      const due = await claimDeliveries(db, {
        atMost: mailsAtOnce,
        leaseSeconds: config.DELIVERY_LEASE_SECONDS,
        linkDays: config.DOWNLOAD_DAYS,
      });
      if (due.length === 0) return false;
      await record(await Promise.all(due.map(attempt)));
      return due.length === mailsAtOnce;
    },

    /** Uses a link once. */
    async openLink(token: string): Promise<Download> {
      const id = links.idOf(token);
      if (id === undefined) return { state: "UNKNOWN" };
      const file = await takeDownload(db, id);
      if (file) return { state: "READY", file };
      return { state: (await hasDownload(db, id)) ? "GONE" : "UNKNOWN" };
    },
  };
}

export type MailCommands = ReturnType<typeof createMailCommands>;
