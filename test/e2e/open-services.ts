import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Role } from "@crowdcrunch/kit/identity";
import { createLogger } from "@crowdcrunch/kit/logger";
import { start } from "@crowdcrunch/kit/service";
import { signAccessToken } from "@crowdcrunch/kit/signing-keys";
import { createDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { TestDatabase } from "@crowdcrunch/kit/testing/postgres";
import type { GraphAnswer } from "@crowdcrunch/kit/testing/service";
import { startProvider } from "@crowdcrunch/provider/provider";
import { environmentOf, shopAddresses } from "@crowdcrunch/tools/processes";
import { jwksFile, signingKeyFile } from "@crowdcrunch/tools/secrets";
import type { JSONWebKeySet, JWK } from "jose";
import { definitionOf } from "./definitions.ts";

/** The services and the provider in this process, on one database, each asked directly as only the gateway should. */
export interface OpenServices {
  database: TestDatabase;
  privateKey: JWK;
  jwks: JSONWebKeySet;
  token(claims: { sub?: string; roles: Role[]; order?: string; issuedAt?: Date }): Promise<string>;
  ask(service: string, query: string, token?: string, variables?: Record<string, unknown>): Promise<GraphAnswer>;
  /** Environment with which a service would start here. */
  environment(service: string): Record<string, string>;
  stop(): Promise<void>;
}

/** Starts all of `names` and the provider, on free ports. */
export async function openServices(names: readonly string[]): Promise<OpenServices> {
  const varDir = await mkdtemp(join(tmpdir(), "crowdcrunch-access-"));
  const [database, addresses] = await Promise.all([createDatabase(), shopAddresses({ varDir, portOffset: 0 })]);
  const log = createLogger({ service: "test", level: "silent" });
  const running: { url: string; stop(): Promise<void> }[] = [];
  const urls = new Map<string, string>();

  const environment = (name: string) => ({
    ...environmentOf(name, { ...addresses, databaseUrl: (role) => database.url(role) }),
    PORT: "0",
    METRICS_PORT: "0",
    SHUTDOWN_GRACE_MS: "1000",
  });

  async function stop(): Promise<void> {
    await Promise.all(running.map((part) => part.stop()));
    await Promise.all([database.drop(), rm(varDir, { recursive: true, force: true })]);
  }

  const readJson = async (file: string) => JSON.parse(await readFile(join(varDir, file), "utf8")) as unknown;
  try {
    const provider = await startProvider({ env: environment("provider"), log, processMetrics: false });
    running.push(provider);
    await Promise.all(
      names.map(async (name) => {
        const env = { ...environment(name), ...(name === "payments" ? { PROVIDER_URL: provider.url } : {}) };
        const service = await start(await definitionOf(name), { env, log, processMetrics: false });
        running.push(service);
        urls.set(name, service.url);
      }),
    );
    const privateKey = (await readJson(signingKeyFile)) as JWK;
    return {
      database,
      privateKey,
      jwks: (await readJson(jwksFile)) as JSONWebKeySet,
      environment,
      async token(claims) {
        const whole = { sub: randomUUID(), sid: randomUUID(), issuedAt: new Date(), ...claims };
        return (await signAccessToken(privateKey, whole)).token;
      },
      async ask(service, query, token, variables = {}) {
        const response = await fetch(`${urls.get(service)}/graphql`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          },
          body: JSON.stringify({ query, variables }),
        });
        const body = (await response.json()) as Pick<GraphAnswer, "data" | "errors">;
        return { ...body, status: response.status, headers: response.headers };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
