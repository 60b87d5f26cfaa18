import { createHmac, timingSafeEqual } from "node:crypto";

/** Makes and reads the tokens of download links. When a link ends is kept with the download, by the database's clock. */
export interface DownloadLinks {
  /** The address in a mail. */
  urlOf(downloadId: string): string;
  /** The download's id; undefined for a token that this shop did not make. */
  idOf(token: string): string | undefined;
}

const idBytes = 16;
const signatureBytes = 16;
const tokenShape = /^[A-Za-z0-9_-]{43}$/;

/** A token is the download's id and the first half of its HMAC-SHA256, in base64url: 43 characters. */
export function createDownloadLinks(config: { DOWNLOAD_SECRET: string; PUBLIC_URL: string }): DownloadLinks {
  const base = config.PUBLIC_URL.replace(/\/+$/, "");

  // The purpose keeps the signature from being one of anything else that the same secret might sign.
  function sign(id: Buffer): Buffer {
    return createHmac("sha256", config.DOWNLOAD_SECRET)
      .update("download-link.v1.")
      .update(id)
      .digest()
      .subarray(0, signatureBytes);
  }

  return {
    urlOf(downloadId) {
      const id = Buffer.from(downloadId.replaceAll("-", ""), "hex");
      return `${base}/downloads/${Buffer.concat([id, sign(id)]).toString("base64url")}`;
    },
    idOf(token) {
      if (!tokenShape.test(token)) return undefined;
      const bytes = Buffer.from(token, "base64url");
      const id = bytes.subarray(0, idBytes);
      if (!timingSafeEqual(bytes.subarray(idBytes), sign(id))) return undefined;
      return id.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    },
  };
}
