/** What a shop is made of, for whoever starts all of it: on a laptop or in a cluster. */
import type { BootstrapOptions } from "@crowdcrunch/kit/bootstrap";

/** The services in the order of their ports. */
export const services = [
  { name: "users", port: 4001 },
  { name: "customers", port: 4002 },
  { name: "inventory", port: 4003 },
  { name: "orders", port: 4004 },
  { name: "payments", port: 4005 },
  { name: "fulfillment", port: 4006 },
  { name: "exchanges", port: 4007 },
  { name: "frontend", port: 4008 },
] as const;

export type ServiceName = (typeof services)[number]["name"];
/** Their names, which are also those of their schemas, their topics and their subgraphs. */
export const serviceNames: readonly ServiceName[] = services.map(({ name }) => name);

/** The simulated payment provider. */
export const provider = { name: "provider", port: 4010 } as const;
/** The only address that shoppers know. */
export const gateway = { name: "gateway", port: 4000 } as const;
/** Checks all the time what must always hold. */
export const auditor = { name: "auditor", port: 4011 } as const;

/** /livez, /readyz and /metrics of a process are at its port + 100. */
export const metricsPortDistance = 100;

/** The database that all share, each with a schema of its own. */
export const databaseName = "crowdcrunch";

/** The Postgres roles of these services and of all else, which log in with a password. */
export function rolesOf(names: readonly string[]): string[] {
  return [gateway.name, auditor.name, ...[...names, provider.name].flatMap((name) => [name, `${name}_owner`])];
}

/** What the bootstrap of a shop's database makes, with the passwords of `rolesOf` the services. */
export function bootstrapOptions(options: {
  adminUrl: string;
  database: string;
  services: readonly string[];
  passwordOf: (role: string) => string;
}): BootstrapOptions {
  const { adminUrl, database, passwordOf } = options;
  const credentials = (name: string) => ({
    name,
    password: passwordOf(name),
    ownerPassword: passwordOf(`${name}_owner`),
  });
  return {
    adminUrl,
    database,
    services: options.services.map(credentials),
    provider: credentials(provider.name),
    gatewayPassword: passwordOf(gateway.name),
    auditorPassword: passwordOf(auditor.name),
  };
}
