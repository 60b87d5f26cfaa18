import { readFile } from "node:fs/promises";
import type { FastifyInstance } from "fastify";

/** Pictures of the catalogue at /media/<file>.svg. */
export function serveMedia(app: FastifyInstance, folder: URL): void {
  app.get<{ Params: { file: string } }>("/media/:file", async (request, reply) => {
    const { file } = request.params;
    // A name and nothing else: no way out of the folder.
    if (!/^[a-z0-9]+(-[a-z0-9]+)*\.svg$/.test(file))
      return reply.code(404).send({ error: "There is no such picture." });
    const picture = await readFile(new URL(file, folder)).catch(() => undefined);
    if (!picture) return reply.code(404).send({ error: "There is no such picture." });
    return reply
      .header("content-type", "image/svg+xml; charset=utf-8")
      .header("cache-control", "public, max-age=3600")
      .header("x-content-type-options", "nosniff")
      .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
      .send(picture);
  });
}
