import type { Database } from "@crowdcrunch/kit/database";
import { openIncident } from "@crowdcrunch/kit/incidents";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Mailer } from "@crowdcrunch/kit/mail";
import type { Attempt, DueMail } from "./store-mails.ts";
import { claimMails, settleMails } from "./store-mails.ts";

const batch = 20;
const firstRetrySeconds = 10;
const longestRetrySeconds = 3_600;
/** With an hour between, two days. */
const mostAttempts = 55;

/** When a mail that failed for so many times is tried again. */
export function retrySecondsAfter(attempts: number): number {
  return Math.min(firstRetrySeconds * 2 ** (attempts - 1), longestRetrySeconds);
}

/** Sends what waits in the correspondence, outside of any transaction. */
export function createMailing(context: { db: Database; newId: () => string; mailer: Mailer; log: Logger }) {
  const { db, newId, mailer, log } = context;

  async function attempt(mail: DueMail): Promise<Attempt> {
    const { id, to, subject, text, attempts } = mail;
    if (mail.expired) return { id, state: "EXPIRED" };
    try {
      await mailer.send({ id, to, subject, text });
      return { id, state: "SENT" };
    } catch (cause) {
      const error = (cause as Error).message;
      // 5xx is the server's last word on the mail; everything else may pass.
      const refused = ((cause as { responseCode?: number }).responseCode ?? 0) >= 500;
      if (refused || attempts >= mostAttempts) return { id, state: "FAILED", error };
      const retrySeconds = retrySecondsAfter(attempts);
      log.warn({ mail: id, attempts, error, retryInMs: retrySeconds * 1_000 }, "a mail is tried again");
      return { id, state: "QUEUED", error, retrySeconds };
    }
  }

  return {
    /** Sends mails whose time has come. Resolves to true while there may be more. */
    async sendDue(): Promise<boolean> {
      const due = await claimMails(db, batch);
      if (due.length === 0) return false;
      const attempts = await Promise.all(due.map(attempt));
      await db.transaction(async (tx) => {
        await settleMails(tx, attempts);
        for (const { id, error } of attempts.filter(({ state }) => state === "FAILED"))
          await openIncident(tx, newId, { kind: "MAIL_UNDELIVERABLE", subject: id, detail: error ?? "" });
      });
      return due.length === batch;
    },
  };
}
