import type { FastifyInstance } from "fastify";
import type { Book } from "./book.ts";

/** The page of the card's bank, where the shopper authorises or refuses a payment. */
export function actionRoutes(app: FastifyInstance, book: Book): void {
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(body as string))),
  );

  app.get("/actions/:id", async (request, reply) => {
    const action = await book.findAction((request.params as { id: string }).id);
    reply.headers(pageHeaders);
    if (!action) return reply.code(404).send(page("There is no such payment", "<p>The link may be mistyped.</p>"));
    const amount = new Intl.NumberFormat("en", { style: "currency", currency: action.currency });
    const sum = amount.format(action.amountMinor / 10 ** (amount.resolvedOptions().maximumFractionDigits ?? 2));
    if (action.status !== "ACTION_REQUIRED")
      return reply.send(
        page(
          "This payment has been decided",
          `<p>${escape(sum)}: ${action.status === "SUCCEEDED" ? "authorised" : "refused"}.</p>`,
        ),
      );
    return reply.send(
      page(
        "Is this you?",
        `<p>${escape(sum)} with your ${escape(action.brand)} card ending in ${escape(action.last4)}.</p>
         <form method="post"><button name="decision" value="authorise">Authorise</button> <button name="decision" value="refuse">Refuse</button></form>`,
      ),
    );
  });

  app.post("/actions/:id", async (request, reply) => {
    const { decision } = (request.body ?? {}) as { decision?: string };
    reply.headers(pageHeaders);
    if (decision !== "authorise" && decision !== "refuse")
      return reply.code(400).send(page("Please choose", "<p>Authorise or refuse.</p>"));
    const decided = await book.decideAction((request.params as { id: string }).id, decision === "authorise");
    if (!decided) return reply.code(404).send(page("There is no such payment", "<p>The link may be mistyped.</p>"));
    if (decided.returnUrl) return reply.redirect(decided.returnUrl, 303);
    return reply.send(page("Thank you", "<p>You may go back to the shop.</p>"));
  });
}

const pageHeaders = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "cache-control": "no-store",
};

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(title)}</title><style>body{font:18px/1.5 system-ui;max-width:30rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem}</style>
<h1>${escape(title)}</h1>${body}</html>`;
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
