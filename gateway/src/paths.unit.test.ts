import { serviceNames } from "@crowdcrunch/shop/parts";
import { expect, test } from "vitest";
import { isPlainPath, passThrough } from "./paths.ts";

test.each(["/", "/media/cup.svg", "/products/red-cup", "/downloads/a%20b", "/graphqlish", "/a/..b/c"])(
  "%s is passed on",
  (path) => expect(isPlainPath(path)).toBe(true),
);

test.each([
  "/media/../graphql",
  "/media/%2e%2e/graphql",
  "/media/..%2fgraphql",
  "/media/..\\graphql",
  "/media/%5c",
  "//graphql",
  "/graphql/",
  "/GraphQL",
  "/%67raphql",
  "/%2567raphql",
  "/./graphql",
  "/a%00b",
  "/%zz",
])("%s is not: it could be read as another path behind the gateway", (path) => expect(isPlainPath(path)).toBe(false));

test("every path names a service", () => {
  for (const { service } of passThrough) expect(serviceNames).toContain(service);
});
