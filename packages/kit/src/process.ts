import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Static, TObject } from "typebox";
import { ConfigError } from "./config.ts";
import { openFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import { serveHealth } from "./health.ts";
import { closeHttp, sendAway } from "./http.ts";
import { createLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import type { Metrics } from "./metrics.ts";
import type { processVariables } from "./variables.ts";

export interface RunningProcess {
  name: string;
  healthUrl: string;
  /** Stops in the reverse order of the start. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  name: string;
  config: Static<TObject<typeof processVariables>>;
  /** What it waits for until it is started, as /readyz says it. */
  waitingFor: string;
  log?: Logger | undefined;
  /** False where several share a process, whose metrics one of them reports. Default true. */
  processMetrics?: boolean | undefined;
}

/** What the parts of a process are started with. */
export interface StartingProcess {
  log: Logger;
  metrics: Metrics;
  /** Faults on purpose, by FAULT_INJECTION and FAULTS. */
  faults: Faults;
  /** Aborted when it stops, also in the middle of its start. */
  signal: AbortSignal;
  /** Called at the stop, the last one first. One that throws is logged and does not hold up the others. */
  onStop(action: () => Promise<unknown>): void;
  /**
   * Listens on HOST and PORT. At the stop it goes on serving for SHUTDOWN_WAIT_MS, then requests that run may end within
   * SHUTDOWN_GRACE_MS. Resolves to the URL.
   */
  listen(app: FastifyInstance): Promise<string>;
}

/**
 * Starts a process: health first, so that it is seen to live while it waits for others; then its parts; then it is
 * ready. Where a part throws, those before it are stopped.
 */
export async function startProcess<Parts extends object>(
  options: ProcessOptions,
  startParts: (starting: StartingProcess) => Promise<Parts>,
): Promise<RunningProcess & Parts> {
  const { name, config } = options;
  // The last words of a process that a fault kills are not to be lost with it.
  const log = options.log ?? createLogger({ service: name, level: config.LOG_LEVEL, sync: config.FAULT_INJECTION });
  const metrics = createMetrics({ service: name, processMetrics: options.processMetrics ?? true });
  const faults = openFaults(config, { log, metrics });
  const waitingFor = new Set([options.waitingFor]);
  const aborted = new AbortController();
  const stops: (() => Promise<unknown>)[] = [];
  const servers: FastifyInstance[] = [];
  const onStop = (action: () => Promise<unknown>) => void stops.push(action);

  async function stop(): Promise<void> {
    aborted.abort(new Error(`${name} is stopping`));
    waitingFor.add("shutdown");
    log.info("stopping");
    servers.forEach(sendAway);
    if (servers.length > 0) await sleep(config.SHUTDOWN_WAIT_MS);
    for (const action of stops.splice(0).reverse()) {
      await action().catch((error: Error) => log.warn({ error: error.message }, "a part did not stop cleanly"));
    }
    log.info("stopped");
  }

  async function listen(app: FastifyInstance): Promise<string> {
    const url = await app.listen({ host: config.HOST, port: config.PORT });
    servers.push(app);
    onStop(() => closeHttp(app, config.SHUTDOWN_GRACE_MS));
    return url;
  }

  try {
    const { HOST: host, METRICS_PORT: port } = config;
    const health = await serveHealth({ host, port, metrics, readiness: () => [...waitingFor] });
    onStop(() => health.stop());
    const parts = await startParts({ log, metrics, faults, signal: aborted.signal, onStop, listen });
    waitingFor.delete(options.waitingFor);
    log.info({ ...("url" in parts ? { url: parts.url } : {}) }, "ready");
    return { ...parts, name, healthUrl: health.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs anything that starts and stops as a process: says in a sentence why it cannot start, and stops on signals. */
export async function runProcess(name: string, begin: () => Promise<{ stop(): Promise<void> }>): Promise<void> {
  const log = createLogger({ service: name, level: "info" });
  let running: { stop(): Promise<void> } | undefined;
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      // While it is still starting nothing is in flight.
      void (running?.stop() ?? Promise.resolve()).finally(() => process.exit(0));
    });
  }
  try {
    process.on("unhandledRejection", (error) => {
      log.fatal({ error: (error as Error)?.stack ?? String(error) }, "unhandled rejection");
      process.exit(1);
    });
    running = await begin();
  } catch (error) {
    if (error instanceof ConfigError) log.fatal({ problems: error.problems }, error.message);
    else log.fatal({ error: (error as Error).stack }, `${name} cannot start`);
    process.exit(1);
  }
}
