import type { FastifyInstance } from "fastify";
import type { MailCommands } from "./commands-mail.ts";
import type { LicensedFile } from "./store-deliveries.ts";

/** The links of digital goods. No HEAD: programs that look at the links of a mail shall not use them up. */
export function downloadRoutes(app: FastifyInstance, mail: MailCommands): void {
  app.get<{ Params: { token: string } }>("/downloads/:token", { exposeHeadRoute: false }, async (request, reply) => {
    const download = await mail.openLink(request.params.token);
    void reply
      .header("cache-control", "no-store")
      .header("x-content-type-options", "nosniff")
      .header("referrer-policy", "no-referrer")
      .type("text/plain; charset=utf-8");
    if (download.state === "UNKNOWN") return reply.code(404).send("There is no such download.\n");
    if (download.state === "GONE") return reply.code(410).send("This link has ended. Please write to the shop.\n");
    return reply
      .header("content-disposition", `attachment; filename="${fileName(download.file.name)}"`)
      .send(licence(download.file));
  });
}

/** Letters and digits alone, so that a name cannot end the header or name a folder. */
function fileName(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  return `${plain || "download"}.txt`;
}

function licence({ name, quantity, licenceKey, orderNumber }: LicensedFile): string {
  return [
    name,
    "=".repeat(name.length),
    "",
    `Order        ${orderNumber}`,
    `Licence key  ${licenceKey}`,
    `Licences     ${quantity}`,
    "",
  ].join("\n");
}
