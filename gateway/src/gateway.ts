import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { readConfig } from "@crowdcrunch/kit/config";
import { openDatabase } from "@crowdcrunch/kit/database";
import { forbidden } from "@crowdcrunch/kit/errors";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { openEventLog } from "@crowdcrunch/kit/eventlogs";
import { serveFaults } from "@crowdcrunch/kit/fault-routes";
import { httpSettings } from "@crowdcrunch/kit/http";
import { createTokenVerifier, requireViewer } from "@crowdcrunch/kit/identity";
import type { Logger } from "@crowdcrunch/kit/logger";
import { startProcess } from "@crowdcrunch/kit/process";
import type { RunningProcess, StartingProcess } from "@crowdcrunch/kit/process";
import { serviceNames } from "@crowdcrunch/shop/parts";
import type { ServiceName } from "@crowdcrunch/shop/parts";
import { fastify } from "fastify";
import { createAdmission } from "./admission.ts";
import { gatewayVariables, serviceOrigins } from "./config.ts";
import type { GatewayConfig } from "./config.ts";
import { allowOrigins } from "./cors.ts";
import { createDenyList } from "./deny-list.ts";
import { loadGraph } from "./graph.ts";
import { serveGraph } from "./http.ts";
import { bodyLimitBytes } from "./limits.ts";
import { readListedOperations } from "./listed-operations.ts";
import { liveFields } from "./live/fields.ts";
import { createLive } from "./live/live.ts";
import { servePassThrough } from "./pass-through.ts";
import { openUpstream } from "./upstream.ts";
import type { Upstream } from "./upstream.ts";

export interface GatewayOptions {
  env: Record<string, string | undefined>;
  /** False where several parts share a process, whose metrics one of them reports. Default true. */
  processMetrics?: boolean;
  log?: Logger;
  /** The composed graph; the committed one where it is not given. */
  supergraph?: string;
  /** Takes the place of the log in the database. */
  eventLog?: EventLog;
}

export interface RunningGateway extends RunningProcess {
  /** Where it serves, e.g. http://127.0.0.1:4000. */
  url: string;
}

const name = "gateway";

/** How long a start waits for the event log, so that revocations are known before the first request. */
const revocationsFirstMs = 1_000;

/** Starts the gateway. It needs its graph and its port; subgraphs, database and keys may come later. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const config = readConfig(gatewayVariables, options.env);
  const { processMetrics } = options;
  return startProcess({ name, config, waitingFor: "graph", log: options.log, processMetrics }, startParts);

  async function startParts(starting: StartingProcess): Promise<{ url: string }> {
    const { log, metrics, faults, onStop } = starting;
    const eventLog = options.eventLog ?? (await openLog(config, starting));
    const denyList = createDenyList({ eventLog, log });
    onStop(() => denyList.stop());
    const upstreams = openUpstreams(config);
    onStop(() => Promise.all(Object.values(upstreams).map((upstream) => upstream.close())));
    const file = config.OPERATIONS_FILE;
    const listed = file === undefined ? undefined : await readListedOperations(file);
    const supergraph =
      options.supergraph ?? (await readFile(new URL("../supergraph.graphql", import.meta.url), "utf8"));
    const graph = await loadGraph({ supergraph, upstreams, introspection: config.INTROSPECTION, log, metrics, faults });
    onStop(() => graph.server.stop());

    const app = fastify({
      ...httpSettings,
      bodyLimit: bodyLimitBytes,
      trustProxy: config.TRUSTED_PROXIES === 0 ? false : (_address, hop) => hop < config.TRUSTED_PROXIES,
      // The time to send a request, not to answer it.
      requestTimeout: 30_000,
    });
    const tokens = createTokenVerifier({ jwksFile: config.JWKS_FILE, log });
    allowOrigins(app, config.CORS_ORIGINS);
    const live = createLive({
      fields: liveFields,
      graph,
      eventLog,
      denyList,
      limits: {
        streams: config.LIVE_STREAMS,
        streamsPerPerson: config.LIVE_STREAMS_PER_PERSON,
        heartbeatMs: config.LIVE_HEARTBEAT_MS,
      },
      budgetMs: config.REQUEST_BUDGET_MS,
      log,
      metrics,
    });
    await serveGraph(app, {
      graph,
      live,
      tokens,
      denyList,
      admission: createAdmission({ concurrency: config.CONCURRENT_REQUESTS, queueMs: config.QUEUE_MS, metrics }),
      listed,
      eventLoopDelayMs: config.EVENT_LOOP_DELAY_MS,
      budgetMs: config.REQUEST_BUDGET_MS,
      log,
      metrics,
    });
    serveFaults(app, {
      faults,
      async authorize({ headers }) {
        if (!requireViewer(await tokens.verify(headers.authorization)).roles.includes("ADMIN")) throw forbidden();
      },
    });
    await servePassThrough(app, { upstreams, budgetMs: config.REQUEST_BUDGET_MS, log });
    const reading = denyList.start().then(() => true);
    if (!(await Promise.race([reading, sleep(revocationsFirstMs, false, { ref: false })]))) {
      log.warn("the event log does not answer; until it does, revoked tokens are let in for their ten minutes");
    }
    const url = await starting.listen(app);
    // Before the server waits for its connections to end.
    onStop(() => live.stop());
    return { url };
  }
}

/** The event log, on few connections: it is read along and nothing else. */
async function openLog(config: GatewayConfig, { log, metrics, onStop }: StartingProcess): Promise<EventLog> {
  const db = openDatabase({
    url: config.DATABASE_URL,
    connections: 1,
    applicationName: name,
    newId: () => crypto.randomUUID(),
    log,
    metrics,
  });
  onStop(() => db.close());
  const eventLog = await openEventLog({ config, service: name, log, pool: db.pool, databaseUrl: config.DATABASE_URL });
  onStop(() => eventLog.close());
  return eventLog;
}

function openUpstreams(config: GatewayConfig): Record<ServiceName, Upstream> {
  const origins = serviceOrigins(config);
  const entries = serviceNames.map((service) => [service, openUpstream(origins[service])]);
  return Object.fromEntries(entries) as Record<ServiceName, Upstream>;
}
