import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { auditorVariables } from "@crowdcrunch/auditor/auditor";
import { gatewayVariables } from "@crowdcrunch/gateway/config";
import { readConfig } from "@crowdcrunch/kit/config";
import { serviceVariables } from "@crowdcrunch/kit/variables";
import type { ServiceDefinition } from "@crowdcrunch/kit/service";
import { providerVariables } from "@crowdcrunch/provider/provider";
import Type from "typebox";
import { afterAll, beforeAll, expect, test } from "vitest";
import { processesOf } from "./plan.ts";
import { environmentOf, services, shopAddresses, shopPlan } from "./processes.ts";
import type { ShopAddresses } from "./processes.ts";
import { repositoryRoot, serviceNames } from "./schemas.ts";

const varDir = mkdtempSync(join(tmpdir(), "crowdcrunch-processes-"));
let shop: ShopAddresses;
beforeAll(async () => {
  shop = await shopAddresses({ varDir, portOffset: 1000 });
});
afterAll(() => rmSync(varDir, { recursive: true }));

test("every folder of services is a process, with a port of its own", async () => {
  expect(services.map(({ name }) => name as string).sort()).toEqual(serviceNames());
  const planned = processesOf(await shopPlan(shop));
  const ports = planned.flatMap(({ port, metricsPort }) => [port, metricsPort]).filter((port) => port !== undefined);
  expect(new Set(ports).size).toBe(ports.length);
  const scripts = planned.filter(({ name }) => name !== "postgres").map(({ command }) => command[1]!);
  expect(scripts.filter((script) => !existsSync(script))).toEqual([]);
});

test.each(serviceNames())("%s gets every variable it cannot do without", async (name) => {
  const definitions = (await import(join(repositoryRoot, "services", name, "src/service.ts"))) as Record<
    string,
    ServiceDefinition
  >;
  const variables = Type.Object({ ...serviceVariables, ...definitions[name]!.config.properties });
  expect(readConfig(variables, environmentOf(name, shop))).toMatchObject({ HOST: "127.0.0.1" });
});

test("gateway, provider and auditor get every variable they cannot do without", () => {
  expect(readConfig(gatewayVariables, environmentOf("gateway", shop))).toMatchObject({
    ORDERS_URL: "http://127.0.0.1:5004",
  });
  expect(readConfig(Type.Object(providerVariables), environmentOf("provider", shop))).toMatchObject({ PORT: 5010 });
  expect(readConfig(Type.Object(auditorVariables), environmentOf("auditor", shop))).toMatchObject({ PORT: 5011 });
});
