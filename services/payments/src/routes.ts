import type { Logger } from "@crowdcrunch/kit/logger";
import type { FastifyInstance } from "fastify";
import type { Commands } from "./commands.ts";
import type { PaymentProvider } from "./provider.ts";

/** Where the provider calls back. Anything but 2xx makes it call again. */
export function callbackRoutes(
  app: FastifyInstance,
  { commands, provider, log }: { commands: Commands; provider: PaymentProvider; log: Logger },
): void {
  // In a scope of its own: the signature is over the very bytes of the body, which must not be parsed before.
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
    scope.post("/hooks/payments", async (request, reply) => {
      const callback = provider.verifyCallback(request.headers, typeof request.body === "string" ? request.body : "");
      if (!callback) {
        log.warn({ from: request.ip }, "a callback without the provider's signature is refused");
        return reply.code(401).send({ error: "the signature is not valid" });
      }
      if (callback.kind === "other") return reply.code(204).send();
      if (callback.kind === "dispute") {
        const taken = await commands.dispute(callback.dispute);
        return taken ? reply.code(204).send() : reply.code(422).send({ error: "there is no such payment" });
      }
      const verdict = await commands.settle({ report: callback.report, source: "callback", sentAt: callback.sentAt });
      if (verdict === "stale") return reply.code(401).send({ error: "it was sent too long ago" });
      if (verdict === "rejected") return reply.code(422).send({ error: "it does not agree with the payment" });
      return reply.code(204).send();
    });
  });
}
