import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { expect, onTestFinished, test } from "vitest";
import { createMailer } from "./mail.ts";

const letter = {
  id: "0190-letter",
  to: "ada@example.com",
  subject: "Your order – ready",
  text: "£12.50, thank you.\n",
};
const from = "CrowdCrunch <shop@crowdcrunch.example>";

/** A mail server that takes what it is given, or refuses it. */
async function openServer(refuse: boolean): Promise<{ url: string; received: string[] }> {
  const received: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onRcptTo: (_address, _session, done) => done(refuse ? new Error("mailbox unavailable") : undefined),
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        received.push(Buffer.concat(parts).toString());
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}?ignoreTLS=true`, received };
}

test("with SMTP_URL a mail goes to that server", async () => {
  const { url, received } = await openServer(false);
  await createMailer({ SMTP_URL: url, MAIL_SPOOL: "unused", MAIL_FROM: from }).send(letter);
  expect(received).toHaveLength(1);
  expect(received[0]).toContain("To: ada@example.com");
  expect(received[0]).toContain("Message-ID: <0190-letter@crowdcrunch.example>");
});

test("a mail that the server refuses is an error", async () => {
  const { url } = await openServer(true);
  await expect(createMailer({ SMTP_URL: url, MAIL_SPOOL: "unused", MAIL_FROM: from }).send(letter)).rejects.toThrow(
    /mailbox unavailable/,
  );
});

test("without it a mail is a file of the spool, which sending again replaces", async () => {
  const spool = await mkdtemp(join(tmpdir(), "crowdcrunch-spool-"));
  onTestFinished(() => rm(spool, { recursive: true }));
  const mailer = createMailer({ MAIL_SPOOL: spool, MAIL_FROM: from });
  await mailer.send(letter);
  await mailer.send({ ...letter, text: "again\n" });
  expect(await readdir(spool)).toEqual(["0190-letter.eml"]);
  expect(await readFile(join(spool, "0190-letter.eml"), "utf8")).toContain("again");
});
