import { readConfig } from "@crowdcrunch/kit/config";
import { rolesOf } from "@crowdcrunch/shop/parts";
import { passwordKey } from "@crowdcrunch/shop/secrets";
import { openCluster } from "./cluster.ts";
import { adminUrlOf, prepareDatabase } from "./database.ts";
import type { Say } from "./progress.ts";
import { ensureSecrets } from "./shop-secrets.ts";
import { ensureKeys } from "./signing-keys.ts";
import { setupVariables } from "./variables.ts";

/**
 * Makes what a shop in a cluster needs and the chart cannot render: its secrets, its keys, and what is in its database.
 * What exists stays, so it may run at any time, also twice at once. Resolves when all is there; throws a Problem, or a
 * ConfigError, where waiting does not help.
 */
export async function setUp(env: Record<string, string | undefined>, say: Say): Promise<void> {
  const config = readConfig(setupVariables, env);
  const services = config.SERVICES.split(",");
  const keys = await openCluster(config, say);
  const { kubernetes, labels } = keys;
  const texts = await ensureSecrets({
    kubernetes,
    name: config.SECRETS_NAME,
    make: config.MAKE_SECRETS,
    labels,
    roles: rolesOf(services),
    adminPassword: config.POSTGRES_ADMIN_PASSWORD === undefined,
    say,
  });
  await ensureKeys(keys);
  say("Secrets and keys are there.");
  const passwordOf = (role: string) => texts[passwordKey(role)]!;
  await prepareDatabase({
    adminUrl: adminUrlOf(config, config.POSTGRES_ADMIN_PASSWORD ?? passwordOf("postgres")),
    name: config.POSTGRES_DATABASE,
    services,
    passwordOf,
    passwordHint:
      config.POSTGRES_ADMIN_PASSWORD === undefined
        ? `its data are of another Secret than ${config.SECRETS_NAME}. Bring that Secret back from a backup; or, where the data may be lost, remove the volume claim of Postgres.`
        : "give the right one in the Secret that POSTGRES_ADMIN_PASSWORD is taken from.",
    kafka: config.KAFKA_BROKERS !== undefined,
    say,
  });
  say("The database has its roles, schemas and event log: the shop is set up.");
}
