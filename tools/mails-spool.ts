import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** A mail of the development spool, decoded. */
export interface SpooledMail {
  id: string;
  at: Date;
  from: string;
  to: string;
  subject: string;
  text: string;
}

/** The mails of a spool folder, newest first. A mail that is being written has another name and is not seen. */
export function readSpool(folder: string): SpooledMail[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".eml"))
    .map((file) => {
      const path = join(folder, file);
      return { ...parseMail(readFileSync(path, "utf8")), id: file.slice(0, -".eml".length), at: statSync(path).mtime };
    })
    .sort((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1));
}

/** The mail of a place in the list, counted from 1, or of an id or its beginning; undefined where there is none or several. */
export function chooseMail(mails: SpooledMail[], wanted: string): SpooledMail | undefined {
  if (/^\d{1,6}$/.test(wanted)) return mails[Number(wanted) - 1];
  const [mail, another] = mails.filter(({ id }) => id.startsWith(wanted.toLowerCase()));
  return another ? undefined : mail;
}

/** Headers and text of a plain mail as nodemailer writes it (RFC 5322, 2045 and 2047). */
export function parseMail(source: string): Omit<SpooledMail, "id" | "at"> {
  const [head = "", ...rest] = source.replaceAll("\r\n", "\n").split("\n\n");
  const unfolded = head.replaceAll(/\n[ \t]+/g, " ");
  const header = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "im").exec(unfolded)?.[1] ?? "";
  return {
    from: decodeWords(header("From")),
    to: decodeWords(header("To")),
    subject: decodeWords(header("Subject")),
    text: decodeBody(rest.join("\n\n"), header("Content-Transfer-Encoding").trim().toLowerCase()),
  };
}

/** Words such as =?UTF-8?Q?Zo=C3=AB?= in a header. */
function decodeWords(text: string): string {
  return text
    .replaceAll(/(\?=)\s+(=\?)/g, "$1$2")
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, encoding: string, word: string) =>
      encoding.toLowerCase() === "b"
        ? Buffer.from(word, "base64").toString("utf8")
        : decodeQuoted(word.replaceAll("_", " ")),
    );
}

function decodeBody(body: string, encoding: string): string {
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8");
  return encoding === "quoted-printable" ? decodeQuoted(body.replaceAll("=\n", "")) : body;
}

function decodeQuoted(text: string): string {
  const bytes = text.replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // Everything quoted is a byte; what is not quoted is ASCII.
  return Buffer.from(bytes, "latin1").toString("utf8");
}
