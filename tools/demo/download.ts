import { join } from "node:path";
import { until } from "@crowdcrunch/shopper/patience";
import { Problem } from "../environment.ts";
import { readSpool } from "../mails-spool.ts";

/** The download link that the shop mailed to this address, out of the spool in which a laptop's mails lie. */
export function mailedLink(varDir: string, email: string): Promise<string> {
  return until("The mail with the download link", async () => {
    for (const { to, text } of readSpool(join(varDir, "mail"))) {
      const link = /https?:\/\/\S+\/downloads\/\S+/.exec(text)?.[0];
      if (to.includes(email) && link) return link;
    }
    return undefined;
  });
}

/** Opens the link as a browser does. Resolves to the file's name and size. */
export async function download(link: string): Promise<{ name: string; bytes: number }> {
  const response = await fetch(link);
  const content = await response.arrayBuffer();
  if (response.status !== 200) throw new Problem(`The download link answers ${response.status}: ${link}`);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "the file";
  return { name, bytes: content.byteLength };
}
