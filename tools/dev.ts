/**
 * `make dev`: Postgres beside, and everything else in this one process, under the inspector. Its logs go to the terminal,
 * readable, and to log/<name>.log. Ctrl-C stops it.
 */
import { createWriteStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createLogger } from "@crowdcrunch/kit/logger";
import type { Logger } from "@crowdcrunch/kit/logger";
import { start } from "@crowdcrunch/kit/service";
import type { ServiceDefinition } from "@crowdcrunch/kit/service";
import { startAuditor } from "@crowdcrunch/auditor/auditor";
import { startGateway } from "@crowdcrunch/gateway/gateway";
import { startProvider } from "@crowdcrunch/provider/provider";
import { untilCatalogueIsKnown } from "./catalogue.ts";
import { checkNoneRuns, stopLeftovers } from "./control.ts";
import { main, shopPlace } from "./environment.ts";
import { checkKafkaStays, chosenKafka } from "./kafka/shop-kafka.ts";
import { readableLine } from "./log-lines.ts";
import { commandOf } from "./port-holder.ts";
import { preparePostgres } from "./postgres.ts";
import { checkFolder, checkNode, checkPorts } from "./preflight.ts";
import {
  auditor,
  environmentOf,
  gateway,
  metricsPortDistance,
  provider,
  services,
  shopAddresses,
  shopPlan,
} from "./processes.ts";
import type { ShopAddresses } from "./processes.ts";
import { supervise } from "./supervise.ts";
import { writeState } from "./supervisor-state.ts";
import type { ProcessState, SupervisorState } from "./supervisor-state.ts";

interface Stoppable {
  stop(): Promise<void>;
}

/** A logger of one part of the process: JSON to its file, readable to the terminal. */
function logOf(name: string, varDir: string): Logger {
  const file = createWriteStream(join(varDir, "log", `${name}.log`), { flags: "a" });
  return createLogger({
    service: name,
    level: process.env.LOG_LEVEL ?? "info",
    destination: {
      write(line: string) {
        file.write(line);
        console.log(readableLine(line.trimEnd(), name).text);
      },
    },
  });
}

/** Starts the eight services, the provider, the gateway and the auditor; metrics of the process itself are the gateway's. */
async function startParts(shop: ShopAddresses, started: Stoppable[]): Promise<void> {
  const options = (name: string) => ({
    env: { ...process.env, ...environmentOf(name, shop) },
    log: logOf(name, shop.varDir),
    processMetrics: name === gateway.name,
  });
  const definitions = await Promise.all(
    services.map(async ({ name }) => {
      const module = (await import(`@crowdcrunch/${name}/service`)) as Record<string, ServiceDefinition>;
      return module[name]!;
    }),
  );
  await Promise.all([
    ...definitions.map(async (definition) => started.push(await start(definition, options(definition.name)))),
    startProvider(options(provider.name)).then((running) => started.push(running)),
  ]);
  started.push(await startGateway(options(gateway.name)));
  started.push(await startAuditor(options(auditor.name)));
}

await main(async () => {
  const startedAt = new Date();
  const place = shopPlace();
  checkNode();
  checkFolder(place.varDir);
  const kafka = chosenKafka();
  checkKafkaStays(place.varDir, kafka);
  await stopLeftovers(checkNoneRuns(place.varDir));
  const shop = await shopAddresses(place, kafka);
  await preparePostgres(place.varDir, shop.secrets.passwords["postgres"]!);
  mkdirSync(join(place.varDir, "log"), { recursive: true });

  const plan = await shopPlan(shop, console.log);
  await checkPorts(plan);
  const state: SupervisorState = {
    pid: process.pid,
    command: commandOf(process.pid),
    mode: "dev",
    phase: "starting",
    startedAt: startedAt.toISOString(),
    processes: [],
  };
  const inThisProcess = [...services, provider, gateway, auditor].map(({ name, port }): ProcessState => {
    const here = { pid: process.pid, command: state.command, startedAt: state.startedAt, restarts: 0 };
    return {
      ...here,
      name,
      state: "running",
      port: port + place.portOffset,
      metricsPort: port + metricsPortDistance + place.portOffset,
    };
  });
  const database = supervise({ ...plan, steps: plan.steps.slice(0, 2) }, (states) => {
    state.processes = [...states, ...inThisProcess];
    writeState(place.varDir, state);
  });

  const started: Stoppable[] = [];
  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    for (const part of started.toReversed()) await part.stop();
    await database.stop();
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void stop().then(() => process.exit()));

  try {
    await database.started;
    await startParts(shop, started);
    state.phase = "running";
    writeState(place.varDir, state);
    await untilCatalogueIsKnown(
      shop.databaseUrl("auditor"),
      services.map(({ name }) => name),
    );
    console.log(`\nThe shop runs in this process: ${shop.url(gateway)}/ and /graphql. Ctrl-C stops it.\n`);
  } catch (error) {
    console.error(error);
    await stop();
    // Parts that are still starting would wait for the database for ever.
    process.exit(1);
  }
});
