import { join } from "node:path";
import { readConfig } from "@crowdcrunch/kit/config";
import type { Database } from "@crowdcrunch/kit/database";
import { inertFaults } from "@crowdcrunch/kit/faults";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import type { ServiceDefinition } from "@crowdcrunch/kit/service";
import { serviceVariables } from "@crowdcrunch/kit/variables";
import { createTokenVerifier } from "@crowdcrunch/kit/identity";
import Type from "typebox";
import { environmentOf, shopAddresses } from "../../processes.ts";
import { jwksFile } from "../../secrets.ts";

/** The types of events that a service is wired to handle. Nothing is started: no handler runs, no database is asked. */
export async function wiredTypes(service: string, varDir: string): Promise<string[]> {
  const module = (await import(`@crowdcrunch/${service}/service`)) as Record<string, ServiceDefinition>;
  const definition = module[service]!;
  const shop = await shopAddresses({ varDir, portOffset: 0 });
  const log = createLogger({ service, level: "silent" });
  const parts = definition.wire({
    config: readConfig(
      Type.Object({ ...serviceVariables, ...definition.config.properties }),
      environmentOf(service, shop),
    ),
    db: {} as Database,
    log,
    metrics: createMetrics({ service, processMetrics: false }),
    newId: () => "",
    tokens: createTokenVerifier({ jwksFile: join(varDir, jwksFile), log }),
    faults: inertFaults,
  });
  return (parts.handlers ?? []).flatMap(({ handles }) => handles.map(({ type }) => type)).sort();
}
