import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTransport } from "nodemailer";
import Type from "typebox";

/** Variables of services that send mail. */
export const mailVariables = {
  SMTP_URL: Type.Optional(
    Type.String({
      description: "the mail server; without it mails go to MAIL_SPOOL",
      examples: ["smtps://user:password@mail.example.com"],
    }),
  ),
  MAIL_SPOOL: Type.String({ default: "var/mail", description: "the folder for mails where there is no SMTP_URL" }),
  MAIL_FROM: Type.String({ default: "CrowdCrunch <shop@crowdcrunch.example>", description: "the sender of mails" }),
  PUBLIC_URL: Type.String({
    default: "http://127.0.0.1:4000",
    description: "where shoppers reach the shop; links in mails begin with it",
  }),
};

export interface Mail {
  /** The mail's own id: sending it again replaces it in the spool and keeps its Message-ID. */
  id: string;
  to: string;
  subject: string;
  text: string;
}

export interface Mailer {
  /** Resolves when the server has taken the mail, or the spool has it. */
  send(mail: Mail): Promise<void>;
}

/** Sends by SMTP where configured; else writes .eml files, whole or not at all, that `make mails` shows. */
export function createMailer(config: { SMTP_URL?: string | undefined; MAIL_SPOOL: string; MAIL_FROM: string }): Mailer {
  const domain = /@([^>\s]+)/.exec(config.MAIL_FROM)?.[1] ?? "localhost";
  const message = (mail: Mail) => ({
    from: config.MAIL_FROM,
    to: mail.to,
    subject: mail.subject,
    text: mail.text,
    messageId: `<${mail.id}@${domain}>`,
  });
  if (config.SMTP_URL) {
    const transport = createTransport(config.SMTP_URL);
    return {
      async send(mail) {
        await transport.sendMail(message(mail));
      },
    };
  }
  const composer = createTransport({ streamTransport: true, buffer: true });
  return {
    async send(mail) {
      const { message: text } = await composer.sendMail(message(mail));
      await mkdir(config.MAIL_SPOOL, { recursive: true });
      const unfinished = join(config.MAIL_SPOOL, `.${mail.id}.tmp`);
      await writeFile(unfinished, text as Buffer);
      await rename(unfinished, join(config.MAIL_SPOOL, `${mail.id}.eml`));
    },
  };
}
