import { setTimeout as sleep } from "node:timers/promises";
import { untilPostgresAnswers } from "@crowdcrunch/kit/await-postgres";
import { bootstrap } from "@crowdcrunch/kit/bootstrap";
import { isUnavailable, messageOf } from "@crowdcrunch/kit/errors";
import { checkEventLog } from "@crowdcrunch/kit/eventlog-postgres/going-over";
import { Problem } from "@crowdcrunch/kit/program";
import { bootstrapOptions } from "@crowdcrunch/shop/parts";
import { waitingFor } from "./progress.ts";
import type { Say } from "./progress.ts";
import type { SetupConfig } from "./variables.ts";

export interface ShopDatabase {
  /** Any database of the server, as a role that may make roles and databases. */
  adminUrl: string;
  /** The shop's database. */
  name: string;
  services: readonly string[];
  passwordOf: (role: string) => string;
  /** Where the administrator's password comes from, and what to do where it is refused. */
  passwordHint: string;
  /** True where the shop's events are on Kafka. */
  kafka: boolean;
  /** How long to wait until Postgres is asked again, in ms. */
  pauseMs?: number;
  say: Say;
}

/** Where Postgres is, as its administrator, with what the variables say. */
export function adminUrlOf(config: SetupConfig, password: string): string {
  const url = new URL("postgres://postgres");
  url.hostname = config.POSTGRES_HOST;
  url.port = String(config.POSTGRES_PORT);
  url.username = encodeURIComponent(config.POSTGRES_ADMIN_USER);
  url.password = encodeURIComponent(password);
  url.pathname = `/${encodeURIComponent(config.POSTGRES_ADMIN_DATABASE)}`;
  url.search = config.POSTGRES_PARAMETERS;
  return url.href;
}

/**
 * Waits for Postgres as long as it takes, and makes the shop's database, roles, schemas and event log, or brings them up
 * to date. Begins again where Postgres goes away meanwhile. Throws a Problem for what waiting does not mend.
 */
export async function prepareDatabase(options: ShopDatabase): Promise<void> {
  const { adminUrl, name, services, passwordOf, kafka, say, pauseMs = 1_000 } = options;
  const { host, username } = new URL(adminUrl);
  const shopUrl = new URL(adminUrl);
  shopUrl.pathname = `/${encodeURIComponent(name)}`;
  const waiting = waitingFor(`Postgres at ${host}`, say);
  for (;;) {
    await untilPostgresAnswers({
      url: adminUrl,
      refused: `Postgres at ${host} refuses the password of ${username}: ${options.passwordHint}`,
      everyMs: pauseMs,
      waiting,
    });
    try {
      await bootstrap(bootstrapOptions({ adminUrl, database: name, services, passwordOf }));
      await checkEventLog({
        url: shopUrl.href,
        kafka,
        services,
        waysOut: {
          kafka: "Name the Kafka again, by kafka.enabled or externalKafka.brokers.",
          outboxes: "Go back with helm rollback, let the services publish what is left, and upgrade again.",
        },
      });
      return;
    } catch (error) {
      if (error instanceof Problem) throw error;
      const { code } = error as { code?: string };
      if (code === "42501") {
        throw new Problem(
          `Postgres at ${host} does not let ${username} do all that is needed (${messageOf(error)}): it needs CREATEROLE and CREATEDB, or to own the database ${name}.`,
        );
      }
      if (!isUnavailable(error)) throw error;
      waiting(messageOf(error));
      await sleep(pauseMs);
    }
  }
}
