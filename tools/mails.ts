/**
 * `make mails [SHOW=<number or id>]`: the mails that the shop would have sent, newest first, or one of them as its
 * recipient reads it. The beginning of an id suffices.
 */
import { join, relative } from "node:path";
import { Problem, main, shopPlace } from "./environment.ts";
import { chooseMail, readSpool } from "./mails-spool.ts";

const mostListed = 50;

await main(async () => {
  const folder = join(shopPlace().varDir, "mail");
  const mails = readSpool(folder);
  const wanted = process.env.SHOW;
  if (wanted) {
    const mail = chooseMail(mails, wanted);
    if (!mail)
      throw new Problem(
        `There is no mail "${wanted}", or more than one: make mails lists the ${mails.length} there are.`,
      );
    console.log(
      `From:    ${mail.from}\nTo:      ${mail.to}\nSubject: ${mail.subject}\nSent:    ${mail.at.toISOString()}\n\n${mail.text.trimEnd()}`,
    );
    return;
  }
  if (mails.length === 0) {
    console.log("There is no mail yet: order something, for example by make demo.");
    return;
  }
  for (const [index, { at, to, subject, id }] of mails.slice(0, mostListed).entries()) {
    console.log(
      `${String(index + 1).padStart(4)}  ${at.toISOString().slice(0, 19).replace("T", " ")}  ${to.padEnd(28)}  ${subject}  (${id})`,
    );
  }
  if (mails.length > mostListed)
    console.log(`      … and ${mails.length - mostListed} older ones in ${relative(process.cwd(), folder)}`);
  console.log("\nmake mails SHOW=1 shows the first of them.");
});
