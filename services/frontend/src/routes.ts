import { readFile } from "node:fs/promises";
import type { FastifyInstance } from "fastify";

const startPage = new URL("../pages/start.html", import.meta.url);

// The page brings all it shows with it, and may load nothing from anywhere.
const contentSecurityPolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Serves the start page at `/`; every other path is unknown. */
export async function serveStartPage(app: FastifyInstance): Promise<void> {
  const html = await readFile(startPage, "utf8");
  app.get("/", (_request, reply) =>
    reply
      .type("text/html; charset=utf-8")
      .headers({
        "content-security-policy": contentSecurityPolicy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "public, max-age=300",
      })
      .send(html),
  );
}
