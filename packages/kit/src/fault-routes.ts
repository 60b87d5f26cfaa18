import type { FastifyError, FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import type { Static } from "typebox";
import { toGraphQLError } from "./errors.ts";
import type { FaultInput, Faults } from "./faults.ts";

const Body = Type.Object({
  faults: Type.Array(
    Type.Object({
      point: Type.String(),
      action: Type.String(),
      match: Type.Optional(Type.String()),
      rate: Type.Optional(Type.Number()),
      times: Type.Optional(Type.Number()),
      afterPasses: Type.Optional(Type.Number()),
      delayMs: Type.Optional(Type.Number()),
      seed: Type.Optional(Type.Number()),
    }),
    { maxItems: 100 },
  ),
});

const statuses: Record<string, number> = { UNAUTHENTICATED: 401, FORBIDDEN: 403 };

/**
 * For processes that are no subgraph: GET /faults lists the faults that are set, PUT /faults sets others, both as
 * `{"faults": [{point, action, …}]}`. The paths exist only where faults are allowed. `authorize` rejects whoever may not.
 */
export function serveFaults(
  app: FastifyInstance,
  { faults, authorize }: { faults: Faults; authorize: (request: FastifyRequest) => Promise<void> },
): void {
  if (!faults.allowed) return;
  const route = {
    url: "/faults",
    preHandler: authorize,
    errorHandler(
      error: FastifyError,
      _request: unknown,
      reply: { code(status: number): { send(body: object): void } },
    ) {
      const { message, extensions } = toGraphQLError(error, () => {});
      const code = error.validation ? "BAD_USER_INPUT" : String(extensions["code"]);
      const status = statuses[code] ?? (code === "BAD_USER_INPUT" ? 400 : 500);
      reply.code(status).send({ error: { code, message: error.validation ? error.message : message } });
    },
  };
  app.route({ ...route, method: "GET", handler: () => Promise.resolve({ faults: faults.list() }) });
  app.route({
    ...route,
    method: "PUT",
    schema: { body: Body },
    handler: (request) => {
      faults.set((request.body as Static<typeof Body>).faults as FaultInput[]);
      return Promise.resolve({ faults: faults.list() });
    },
  });
}
