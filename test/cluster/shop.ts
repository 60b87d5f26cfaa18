import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { Acknowledged } from "@crowdcrunch/auditor/acknowledged";
import { signAccessToken } from "@crowdcrunch/kit/signing-keys";
import { openGraph } from "@crowdcrunch/shopper/client";
import type { GraphClient } from "@crowdcrunch/shopper/client";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import type { CommandOptions } from "@crowdcrunch/tools/cluster/commands";
import { containersOf } from "@crowdcrunch/tools/cluster/objects";
import type { List, Pod } from "@crowdcrunch/tools/cluster/objects";
import { untilRolledOut } from "@crowdcrunch/tools/cluster/rollout";
import type { JWK } from "jose";
import { Pool } from "pg";
import { openShelves } from "../e2e/whole-shop.ts";
import type { Article, Shopper } from "../e2e/whole-shop.ts";
import { startLoad } from "../e2e/steady-load.ts";
import type { Load, LoadOptions } from "../e2e/steady-load.ts";
import { countRequests } from "./counted-graph.ts";
import type { CountedGraph } from "./counted-graph.ts";
import { forwardPort } from "./port-forward.ts";

/** The name of the chart, after which the shop's Secrets are called. */
const chart = "crowdcrunch";

/** Where a release of the chart is, and how it is reached from this machine. */
export interface ShopPlace {
  cluster: Cluster;
  namespace: string;
  release: string;
  /** Where shoppers reach it, for example http://127.0.0.1:31080. */
  url: string;
  /** A line of JSON for each order that the shop has answered for goes here. */
  driverLog: string;
}

/** A shop in the cluster, spoken to from outside by its one address, and looked into with kubectl. */
export interface Shop extends ShopPlace {
  graphUrl: string;
  /** kubectl in the shop's namespace. */
  kubectl(args: readonly string[], options?: CommandOptions): Promise<string>;
  helm(args: readonly string[], options?: CommandOptions): Promise<string>;
  pods(selector?: string): Promise<Pod[]>;
  /** Runs a program in a component's container; resolves to what it writes. */
  exec(component: string, command: readonly string[], options?: CommandOptions): Promise<string>;
  /** Resolves once everything runs as it was asked for. */
  untilReady(timeoutMs?: number): Promise<void>;
  /** A client of the graph that counts its requests; closed with the shop. */
  openGraph(options?: { connections?: number; timeoutMs?: number }): CountedGraph;
  /** A token of ten minutes, signed with the shop's own key. */
  token(who: { sub?: string; roles: ("STAFF" | "ADMIN" | "SHOPPER")[] }): Promise<string>;
  /** Reads the books of all services as the auditor; the way to the database is closed afterwards. */
  withBooks<Result>(read: (books: Pool, url: string) => Promise<Result>): Promise<Result>;
  /** Two articles that are sent and one to download, of which there are plenty. Made at the first call. */
  articles(): Promise<Article[]>;
  /** New articles, of each of which so many units are there. */
  newArticles(count: number, units: number): Promise<Article[]>;
  /** Shoppers with accounts of ten minutes; `renew` gives them another ten. */
  shoppers(count: number): Promise<{ shoppers: Shopper[]; renew(): Promise<void> }>;
  /** Keeps new shoppers buying; what the shop answers for goes to the driver's log and to `acknowledged`. */
  startLoad(options: CountedLoadOptions): Promise<CountedLoad>;
  /** All orders that the shop has answered for since it was opened, as its shoppers were told of them. */
  acknowledged: Acknowledged[];
  /** Notes that the shop has answered for an order, or has told more of one. */
  note(order: Acknowledged): void;
  /** The ids of all shoppers of `shoppers`. */
  shopperIds: string[];
  /** How often each container has been started again, by pod and container, where that is not never. */
  restarts(): Promise<{ where: string; count: number; reason: string }[]>;
  /** Lets nobody begin another purchase, where a check has left somebody who does. */
  stopLoads(): void;
  close(): Promise<void>;
}

export interface CountedLoadOptions extends Pick<LoadOptions, "perSecond" | "atOnce" | "placingAtOnce" | "patienceMs"> {
  shoppers?: number;
}

/** As many as the shop is disturbed under, where a check does not say otherwise. */
const crowd = { shoppers: 12, atOnce: 200, placingAtOnce: 8 };

export interface CountedLoad {
  load: Load;
  graph: CountedGraph;
  /** Lets the purchases that have begun come to their end. */
  end(): Promise<void>;
}

const renewEveryMs = 240_000;
/** As long as a shopper waits for an answer: a little longer than the gateway's own budget. */
const answerMs = 12_000;

/** Opens the way to a shop that has been installed. */
export function openClusterShop(place: ShopPlace): Shop {
  const { cluster, namespace, url } = place;
  const graphUrl = `${url}/graphql`;
  const acknowledged: Acknowledged[] = [];
  const shopperIds: string[] = [];
  const open = new Set<GraphClient>();
  const loads = new Set<CountedLoad>();
  let signingKey: Promise<JWK> | undefined;
  let articles: Promise<Article[]> | undefined;

  const kubectl: Shop["kubectl"] = (args, options) => cluster.kubectl(["-n", namespace, ...args], options);

  async function secret(name: string, key: string): Promise<string> {
    const path = `jsonpath={.data.${key.replaceAll(".", "\\.")}}`;
    return Buffer.from(await kubectl(["get", "secret", name, "-o", path]), "base64").toString();
  }

  const token: Shop["token"] = async ({ sub = randomUUID(), roles }) => {
    signingKey ??= secret(`${chart}-signing-key`, "signing-key.json").then((text) => JSON.parse(text) as JWK);
    return (await signAccessToken(await signingKey, { sub, sid: randomUUID(), roles, issuedAt: new Date() })).token;
  };

  const withShelves = <Result>(work: (shelves: ReturnType<typeof openShelves>) => Promise<Result>) =>
    shop.withBooks((books) => work(openShelves(shop.openGraph(), books, () => token({ roles: ["STAFF"] }))));

  const shop: Shop = {
    ...place,
    graphUrl,
    acknowledged,
    shopperIds,
    kubectl,
    helm: (args, options) => cluster.helm(["-n", namespace, ...args], options),
    async pods(selector) {
      const { items } = await cluster.json<List<Pod>>([
        "get",
        "pods",
        "-n",
        namespace,
        ...(selector ? ["-l", selector] : []),
      ]);
      return items.filter(({ metadata }) => !metadata.deletionTimestamp);
    },
    exec: (component, command, options) =>
      kubectl(
        [
          "exec",
          ...(options?.input === undefined ? [] : ["-i"]),
          `deploy/${component}`,
          "-c",
          component,
          "--",
          ...command,
        ],
        options,
      ),
    untilReady: (timeoutMs = 180_000) => untilRolledOut(cluster, namespace, { timeoutMs }),
    openGraph(options = {}) {
      const client = countRequests(openGraph(graphUrl, { connections: 32, timeoutMs: answerMs, ...options }));
      const graph: CountedGraph = {
        ...client,
        async close() {
          if (open.delete(graph)) await client.close();
        },
      };
      open.add(graph);
      return graph;
    },
    token,
    async withBooks(read) {
      const password = await secret(`${chart}-secrets`, "auditor-password");
      const way = await forwardPort(cluster, { namespace, target: "pod/postgres-0", port: 5432 });
      const connectionString = `postgres://auditor:${password}@127.0.0.1:${way.port}/crowdcrunch`;
      const books = new Pool({ connectionString, max: 2, application_name: "test-cluster" });
      books.on("error", () => {});
      try {
        return await read(books, connectionString);
      } finally {
        await books.end();
        way.close();
      }
    },
    articles() {
      articles ??= withShelves(({ article, download }) =>
        Promise.all([article(1_000_000), article(1_000_000), download()]),
      );
      return articles;
    },
    newArticles: (count, units) =>
      withShelves(({ article }) => Promise.all(Array.from({ length: count }, () => article(units)))),
    async shoppers(count) {
      const tokenOf = (sub: string) => token({ sub, roles: ["SHOPPER"] });
      const shoppers = await Promise.all(
        Array.from({ length: count }, async () => {
          const id = randomUUID();
          return { id, token: await tokenOf(id), email: `${id}@example.com` };
        }),
      );
      shopperIds.push(...shoppers.map(({ id }) => id));
      const renew = async () => {
        for (const shopper of shoppers) shopper.token = await tokenOf(shopper.id);
      };
      return { shoppers, renew };
    },
    note(order) {
      if (!acknowledged.includes(order)) acknowledged.push(order);
      appendFileSync(place.driverLog, `${JSON.stringify(order)}\n`);
    },
    async startLoad(chosen) {
      const { shoppers: count, ...options } = { ...crowd, ...chosen };
      const graph = shop.openGraph();
      const { shoppers, renew } = await shop.shoppers(count);
      const timer = setInterval(() => void renew(), renewEveryMs);
      const load = startLoad({
        ...{ graph, shoppers, articles: await shop.articles(), ...options },
        onTold: (order) => shop.note(order),
      });
      const counted: CountedLoad = {
        load,
        graph,
        async end() {
          await load.end();
          clearInterval(timer);
          loads.delete(counted);
        },
      };
      loads.add(counted);
      return counted;
    },
    async restarts() {
      return (await shop.pods()).flatMap((pod) =>
        containersOf(pod).flatMap(({ name, restartCount, lastState }) => {
          const reason = lastState.terminated?.reason ?? "unknown";
          return restartCount > 0 ? [{ where: `${pod.metadata.name}/${name}`, count: restartCount, reason }] : [];
        }),
      );
    },
    stopLoads() {
      for (const load of loads) void load.end();
    },
    async close() {
      shop.stopLoads();
      await Promise.all([...open].map((graph) => graph.close()));
    },
  };
  return shop;
}
