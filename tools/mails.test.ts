import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMailer } from "@crowdcrunch/kit/mail";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chooseMail, readSpool } from "./mails-spool.ts";

let varDir: string;
beforeAll(async () => {
  varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-mails-"));
  const spool = join(varDir, "mail");
  const mailer = createMailer({ MAIL_SPOOL: spool, MAIL_FROM: "CrowdCrunch <shop@crowdcrunch.example>" });
  const long = `https://shop.example/orders/7KQM2X?key=${"abc123=".repeat(30)}`;
  await mailer.send({
    id: "aa-1",
    to: "ada@example.com",
    subject: "Your order 7KQM2X is confirmed",
    text: `2 × Tasse, £19.00\n\n${long}\n`,
  });
  const subject = `Zoë, your „Straße“ order of ${"many ".repeat(15)}things — ✓`;
  await mailer.send({ id: "ab-2", to: "zoe@example.com", subject, text: "日本語 = naïve\n.\nFrom here\n" });
  utimesSync(join(spool, "aa-1.eml"), 1_000, 1_000);
});
afterAll(() => rmSync(varDir, { recursive: true, force: true }));

describe("the spool", () => {
  it("is read newest first, as it was written", () => {
    const mails = readSpool(join(varDir, "mail"));
    expect(mails.map(({ id }) => id)).toEqual(["ab-2", "aa-1"]);
    expect(mails[0]).toMatchObject({ to: "zoe@example.com", text: "日本語 = naïve\n.\nFrom here\n" });
    expect(mails[0]!.subject).toBe(`Zoë, your „Straße“ order of ${"many ".repeat(15)}things — ✓`);
    expect(mails[1]!.text).toBe(
      `2 × Tasse, £19.00\n\nhttps://shop.example/orders/7KQM2X?key=${"abc123=".repeat(30)}\n`,
    );
    expect(readSpool(join(varDir, "nothing"))).toEqual([]);
  });

  it("gives a mail by its place or the beginning of its id", () => {
    const mails = readSpool(join(varDir, "mail"));
    expect(chooseMail(mails, "2")?.id).toBe("aa-1");
    expect(chooseMail(mails, "AB")?.id).toBe("ab-2");
    expect(chooseMail(mails, "a")).toBeUndefined();
    expect(chooseMail(mails, "3")).toBeUndefined();
  });
});

describe("make mails", () => {
  const mails = (SHOW = "") =>
    execFileSync(process.execPath, [join(import.meta.dirname, "mails.ts")], {
      env: { ...process.env, CROWDCRUNCH_VAR: varDir, SHOW },
      encoding: "utf8",
      stdio: "pipe",
    });

  it("lists them and shows one", () => {
    expect(mails()).toMatch(
      /^ +1 .*zoe@example\.com.*\n +2 .*ada@example\.com +Your order 7KQM2X is confirmed {2}\(aa-1\)\n/,
    );
    expect(mails("2")).toContain("Subject: Your order 7KQM2X is confirmed\n");
    expect(mails("aa-1")).toContain("2 × Tasse, £19.00");
    expect(() => mails("9")).toThrow(/There is no mail "9"/);
  });
});
