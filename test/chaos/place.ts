/** The shop that scenarios break: processes, broker and links, all of it through proxies. */
import { cpSync, existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openGraph } from "@crowdcrunch/shopper/client";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import { shopPlace } from "@crowdcrunch/tools/environment";
import { gateway, postgres, provider, services } from "@crowdcrunch/tools/processes";
import type { ShopAddresses } from "@crowdcrunch/tools/processes";
import { openShop } from "../e2e/whole-shop.ts";
import type { Article, Variables, WholeShop } from "../e2e/whole-shop.ts";
import { openBroker } from "./broker.ts";
import { openLogs } from "./event-logs.ts";
import type { EventLogs } from "./event-logs.ts";
import type { Broker } from "./broker.ts";
import { openLinks } from "./links.ts";
import type { Links } from "./links.ts";
import { openPoints } from "./points.ts";
import type { Points } from "./points.ts";
import { openProcesses } from "./processes.ts";
import type { Processes } from "./processes.ts";

/** The shop's ports are these beyond its usual ones, unless PORT_OFFSET says otherwise. */
const usualPortOffset = 27_000;
/** As long as a shopper waits for an answer, in ms: a little longer than the gateway's own budget. */
const answerMs = 12_000;

export interface Place {
  whole: WholeShop;
  /** The graph as shoppers reach it, through the link "driver>gateway". */
  graph: GraphClient;
  /** The same for the steady load: with few connections, so that a slow shop has a queue before it and not in it. */
  loadGraph: GraphClient;
  graphUrl: string;
  links: Links;
  processes: Processes;
  points: Points;
  /** Undefined where the event log is embedded in Postgres. */
  broker: Broker | undefined;
  logs: EventLogs;
  /** What the steady load buys: two that are sent and one to download. */
  articles: Article[];
  /** Heals whatever a scenario has left broken. */
  restore(): Promise<void>;
  /** Copies the processes' logs. */
  keepLogs(folder: string): void;
  close(): Promise<void>;
}

export interface PlaceOptions {
  kafka: boolean;
  seed: number;
  say: (sentence: string) => void;
}

/** Starts a shop of its own, with its broker, and links between all who speak with each other. */
export async function openPlace({ kafka, seed, say }: PlaceOptions): Promise<Place> {
  const links = openLinks();
  const ends: (() => Promise<void> | void)[] = [() => links.close()];
  const close = async () => {
    for (const end of ends.reverse()) await end();
  };
  try {
    const broker = kafka ? await openBroker(links, say) : undefined;
    if (broker) ends.push(() => broker.end());
    const portOffset = shopPlace().portOffset || usualPortOffset;
    await openShopLinks(links, portOffset);
    const choice = broker?.choice ?? false;
    const whole = await openShop({ portOffset, kafka: choice, env: (addresses) => variables(addresses, links) });
    ends.push(() => whole.stop());
    const logs = openLogs(whole.shop, choice);
    ends.push(() => logs.close());
    const front = new URL(whole.shop.graphUrl);
    front.port = String(links.get("driver>gateway").port);
    const graph = openGraph(front.href, { connections: 256, timeoutMs: answerMs });
    const loadGraph = openGraph(front.href, { connections: 24, timeoutMs: answerMs });
    ends.push(
      () => graph.close(),
      () => loadGraph.close(),
    );
    const processes = openProcesses(whole.shop, links);
    const points = openPoints(whole.shop, seed);
    const articles = await Promise.all([whole.article(1_000_000), whole.article(1_000_000), whole.download()]);
    return {
      ...{ whole, graph, loadGraph, graphUrl: front.href, links, processes, points, broker, logs, articles, close },
      async restore() {
        for (const link of links.all()) await link.set({});
        await broker?.restore();
        await processes.restore();
        await points.clear();
      },
      keepLogs(folder) {
        rmSync(folder, { recursive: true, force: true });
        const logs = join(whole.shop.varDir, "log");
        if (existsSync(logs)) cpSync(logs, folder, { recursive: true });
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openShopLinks(links: Links, portOffset: number): Promise<void> {
  const portOf = (process_: { port: number }) => process_.port + portOffset;
  for (const { name } of [...services, provider, gateway]) await links.open(`${name}>postgres`, portOf(postgres));
  for (const service of services) await links.open(`gateway>${service.name}`, portOf(service));
  await links.open("payments>provider", portOf(provider));
  await links.open("provider>gateway", portOf(gateway));
  await links.open("driver>gateway", portOf(gateway));
}

/** What leads the processes through the links, and lets them be broken. */
function variables(addresses: ShopAddresses, links: Links): Variables {
  const through = (name: string, url: string) => {
    const changed = new URL(url);
    changed.port = String(links.get(name).port);
    return changed.href.replace(/\/$/, "");
  };
  const env: Variables = {};
  for (const { name } of [...services, provider, gateway]) {
    const database = (role: string) => through(`${name}>postgres`, addresses.databaseUrl(role));
    env[name] = {
      DATABASE_URL: database(name),
      ...(name === "gateway" ? {} : { OWNER_DATABASE_URL: database(`${name}_owner`) }),
      FAULT_INJECTION: "true",
      SHUTDOWN_WAIT_MS: "2000",
    };
  }
  for (const service of services) {
    const { name } = service;
    env["gateway"]![`${name.toUpperCase()}_URL`] = through(`gateway>${name}`, addresses.url(service));
  }
  env["payments"]!["PROVIDER_URL"] = through("payments>provider", addresses.url(provider));
  env["provider"]!["PROVIDER_WEBHOOK_URL"] = through("provider>gateway", `${addresses.url(gateway)}/hooks/payments`);
  // Parcels arrive by themselves, so that orders end.
  Object.assign(env["fulfillment"]!, {
    CARRIER_SIMULATOR: "true",
    CARRIER_DELAY_MS: "300",
    DELIVERY_LEASE_SECONDS: "3",
  });
  return env;
}
