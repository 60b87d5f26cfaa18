import { inertFaults } from "@crowdcrunch/kit/faults";
import { fastify } from "fastify";
import { expect, test } from "vitest";
import { actionRoutes } from "./action-page.ts";
import { apiRoutes } from "./api.ts";
import type { ApiOptions } from "./api.ts";
import type { Book } from "./book.ts";
import { shopPaths, shopperPaths } from "./paths.ts";

test("the lists name exactly what is served", () => {
  const app = fastify({ exposeHeadRoutes: false });
  const served: string[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    // A name in a path, such as :id, and what may follow it are the rest of the path in the lists.
    for (const one of [method].flat()) served.push(`${one} ${url.replace(/:.*/, "*")}`);
  });
  // Nothing is asked, so that the routes need neither a database nor a book.
  apiRoutes(app, { apiKey: "key", faults: inertFaults } as ApiOptions);
  actionRoutes(app, {} as Book);
  const listed = [...shopPaths, ...shopperPaths].flatMap(({ path, methods }) => methods.map((one) => `${one} ${path}`));
  expect([...new Set(served)].toSorted()).toEqual(listed.toSorted());
});
