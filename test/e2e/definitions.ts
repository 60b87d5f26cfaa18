import type { ServiceDefinition } from "@crowdcrunch/kit/service";

/** A service's definition, by its name. */
export async function definitionOf(name: string): Promise<ServiceDefinition> {
  const module = (await import(`@crowdcrunch/${name}/service`)) as Record<string, ServiceDefinition>;
  const definition = module[name];
  if (!definition) throw new Error(`services/${name}/src/service.ts exports no ${name}`);
  return definition;
}
