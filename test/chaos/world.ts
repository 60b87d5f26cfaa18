import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { seeded } from "@crowdcrunch/tools/bench/shopper";
import type { GraphClient, GraphError } from "@crowdcrunch/shopper/client";
import { operatorToken } from "@crowdcrunch/tools/operator";
import { services } from "@crowdcrunch/tools/processes";
import type { RunningShop } from "@crowdcrunch/tools/shop";
import type { Pool } from "pg";
import { countUnderWay } from "../e2e/quiet.ts";
import { orderInput, persist } from "../e2e/steady-load.ts";
import type { Load } from "../e2e/steady-load.ts";
import { tell } from "../e2e/whole-shop.ts";
import type { Answer, Article, Shopper } from "../e2e/whole-shop.ts";
import type { Broker } from "./broker.ts";
import type { Link } from "./links.ts";
import type { Place } from "./place.ts";
import type { Points } from "./points.ts";
import type { Processes } from "./processes.ts";

/** What a scenario works with. Purchases flow from before `run` until after it; the runner ends them. */
export interface World {
  // The shop, and what can be broken.
  /** Its addresses, folder and secrets. */
  shop: RunningShop;
  processes: Processes;
  points: Points;
  /** The connection from a process to another, e.g. ("orders", "postgres"), ("gateway", "orders"), ("shop", "broker"). */
  link(from: string, to: string): Link;
  /** All connections to "postgres", "gateway" … */
  linksTo(to: string): Link[];
  /** Throws in a scenario that does not say that it needs Kafka. */
  broker: Broker;
  /** The event log, as a service may use it: to append what a fault brings, or to read along. */
  eventLogAs(service: string): Promise<EventLog>;

  // The shoppers.
  load: Load;
  graph: GraphClient;
  /** What the steady load buys. */
  articles: Article[];
  article(units: number, amountMinor?: number): Promise<Article>;
  /** A shopper of this scenario's own. */
  shopper(): Promise<Shopper>;
  staff(): Promise<string>;
  /** Does a mutation and gives its answer, whichever member of the union it is; throws GraphFailure for errors. */
  tell(mutation: string, token: string, input: Record<string, unknown>, selection?: string): Promise<Answer>;
  /**
   * Asks for an order of one of each article, once; `changes` replaces parts of the input. Orders that are answered for
   * are noted, to be looked for in the books.
   */
  place(shopper: Shopper, articles: Article[], changes?: Record<string, unknown>): Promise<Answer>;

  /** Asks until there is an answer, as a good client does. */
  persist<Result>(ask: () => Promise<Result>): Promise<Result>;
  /** One request to the graph as it is: the status, and data and errors together. */
  request(query: string, variables?: Record<string, unknown>, token?: string): Promise<GraphResponse>;
  /** The same with any body, to the graph or to a service itself. */
  post(body: unknown, to?: { service?: string; token?: string }): Promise<GraphResponse>;

  // The course of a scenario.
  /** Does the harm, and notes how many purchases were under way at that moment. */
  inject<Result>(what: string, act: () => Promise<Result> | Result): Promise<Result>;
  /** Ends the harm; from then until a purchase begun after it is CONFIRMED is the recovery, measured meanwhile. */
  heal(what: string, act?: () => unknown): Promise<void>;
  /** The fault was seen at its own place so often; `where` says by what. */
  fired(count: number, where: string): void;
  /** Makes the row red unless it is so. `seen` is printed with it. */
  expect(what: string, isSo: boolean, seen?: unknown): void;
  /** Looks until it is so, at most so many seconds. Throws where it does not come. */
  until<Seen>(what: string, look: () => Promise<Seen> | Seen, patienceSeconds?: number): Promise<NonNullable<Seen>>;
  /** Waits so long; at most SECONDS, which the short run makes few. Resolves to how many seconds it was. */
  lasts(seconds: number): Promise<number>;
  /** A line of progress. */
  say(sentence: string): void;

  // The books.
  books: Pool;
  /** A number from the books: the first column of the first row. */
  count(sql: string, parameters?: unknown[]): Promise<number>;
  /** Events, operations at the provider and parcels that are on their way. */
  underWay(): Promise<number>;

  /** The same for the same SEED. */
  random(): number;
  short: boolean;
}

export interface GraphResponse {
  status: number;
  data?: any;
  errors?: GraphError[];
}

/** What a run of a scenario came to, besides the books. */
export interface Course {
  injected: number;
  /** Most purchases under way at an injection. */
  inFlight: number;
  fired: { count: number; where: string }[];
  unmet: string[];
  /** From the end of a fault until a purchase begun after it is CONFIRMED, in ms. */
  recoveriesMs: Promise<number>[];
  shoppers: Shopper[];
}

export interface WorldOptions {
  place: Place;
  load: Load;
  shoppers: Shopper[];
  number: number;
  seed: number;
  short: boolean;
  /** The longest that `lasts` takes. */
  atMostSeconds: number;
  say: (sentence: string) => void;
}

const lookMs = 40;
const recoveryPatienceMs = 120_000;
/** States of an order that has been confirmed, now or before. */
const confirmed = ["CONFIRMED", "PARTIALLY_SHIPPED", "SHIPPED", "PARTIALLY_DELIVERED", "DELIVERED", "COMPLETED"];

export function openWorld(options: WorldOptions): { world: World; course: Course } {
  const { place, load, say } = options;
  const { graph, links, whole } = place;
  const course: Course = {
    ...{ injected: 0, inFlight: 0, fired: [], unmet: [], recoveriesMs: [] },
    shoppers: [...options.shoppers],
  };

  /** Resolves to how long a purchase takes from now until it is CONFIRMED, in ms. */
  async function measureRecovery(): Promise<number> {
    const beganMs = performance.now();
    const patience = { patienceMs: recoveryPatienceMs };
    const shopper = options.shoppers[0]!;
    const idempotencyKey = randomUUID();
    const placed = await persist(() => world.place(shopper, place.articles, { idempotencyKey }), patience);
    if (placed.__typename !== "OrderPlaced") throw new Error(`placeOrder: ${JSON.stringify(placed)}`);
    const { number } = placed["order"] as { number: string };
    const query = `query Look($number: String!) { order(number: $number) { status } }`;
    await world.until(
      `${number} CONFIRMED`,
      async () => {
        const { order } = await persist(() => graph.ask(query, { number }, shopper.token), patience);
        return confirmed.includes(order.status as string);
      },
      recoveryPatienceMs / 1_000,
    );
    return performance.now() - beganMs;
  }

  const world: World = {
    shop: whole.shop,
    processes: place.processes,
    points: place.points,
    link: (from, to) => links.get(`${from}>${to}`),
    linksTo: (to) => links.all().filter(({ name }) => name.endsWith(`>${to}`)),
    get broker() {
      if (!place.broker) throw new Error("there is no broker: say that the scenario needs Kafka");
      return place.broker;
    },
    eventLogAs: (service) => place.logs.as(service),
    load,
    graph,
    articles: place.articles,
    article: whole.article,
    async shopper() {
      const shopper = await whole.shopper();
      course.shoppers.push(shopper);
      return shopper;
    },
    staff: () => operatorToken(whole.shop.varDir),
    tell: (mutation, token, input, selection) => tell(graph, mutation, token, input, selection),
    async place(shopper, articles, changes = {}) {
      const input = { ...orderInput(shopper, articles), ...changes };
      const selection = "... on OrderPlaced { order { id number status } }";
      const answer = await tell(graph, "placeOrder", shopper.token, input, selection);
      if (answer.__typename === "OrderPlaced") {
        const { id, number } = answer["order"] as { id: string; number: string };
        if (!load.acknowledged.some((told) => told.number === number))
          load.acknowledged.push({ id, number, key: input.idempotencyKey, wasCancelled: false });
      }
      return answer;
    },
    persist: (ask) => persist(ask, { patienceMs: recoveryPatienceMs }),
    request: (query, variables = {}, token = "") => world.post({ query, variables }, { token }),
    async post(body, { service, token } = {}) {
      const url = service ? `${whole.shop.url(serviceNamed(service))}/graphql` : place.graphUrl;
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
        body: JSON.stringify(body),
      });
      return { status: response.status, ...((await response.json()) as object) };
    },
    async inject(what, act) {
      course.injected += 1;
      course.inFlight = Math.max(course.inFlight, load.underWay());
      say(`${what}, with ${load.underWay()} purchases under way`);
      return act();
    },
    async heal(what, act = () => {}) {
      await act();
      say(what);
      const recovery = measureRecovery();
      // Told when the runner waits for it.
      recovery.catch(() => {});
      course.recoveriesMs.push(recovery);
    },
    fired(count, where) {
      if (count > 0) course.fired.push({ count, where });
      say(`fired ${count} times: ${where}`);
    },
    expect(what, isSo, seen) {
      if (isSo) say(`as expected: ${what}${seen === undefined ? "" : ` (${describe(seen)})`}`);
      else course.unmet.push(`expected: ${what}${seen === undefined ? "" : `, and it was ${describe(seen)}`}`);
    },
    async until(what, look, patienceSeconds = 30) {
      const giveUpAtMs = performance.now() + patienceSeconds * 1_000;
      for (;;) {
        // The database may be away meanwhile.
        const seen = await Promise.resolve()
          .then(look)
          .catch((error: unknown) => (performance.now() > giveUpAtMs ? Promise.reject(error as Error) : undefined));
        if (seen) return seen;
        if (performance.now() > giveUpAtMs) throw new Error(`${what} did not come within ${patienceSeconds} s`);
        await sleep(lookMs);
      }
    },
    async lasts(seconds) {
      const scaled = Math.min(seconds, options.atMostSeconds);
      await sleep(scaled * 1_000);
      return scaled;
    },
    say,
    books: whole.books,
    async count(sql, parameters = []) {
      const { rows } = await whole.books.query<Record<string, unknown>>(sql, parameters);
      return Number(Object.values(rows[0] ?? { none: 0 })[0]);
    },
    underWay: async () => countUnderWay(whole.books, await place.logs.as("auditor")),
    random: seeded(options.seed * 1_000 + options.number),
    short: options.short,
  };
  return { world, course };
}

function serviceNamed(name: string): { port: number } {
  const service = services.find((one) => one.name === name);
  if (!service) throw new Error(`there is no service ${name}`);
  return service;
}

const describe = (seen: unknown) => (typeof seen === "string" ? seen : JSON.stringify(seen));

/** Shoppers whose tokens are renewed until `stop`: a token lives ten minutes, and a scenario may take longer. */
export async function shoppersOf(place: Place, count: number): Promise<{ shoppers: Shopper[]; stop(): void }> {
  const shoppers = await Promise.all(Array.from({ length: count }, () => place.whole.shopper()));
  const renew = async () => {
    for (const shopper of shoppers)
      shopper.token = await operatorToken(place.whole.shop.varDir, { sub: shopper.id, roles: ["SHOPPER"] });
  };
  const timer = setInterval(() => void renew(), 240_000);
  return { shoppers, stop: () => clearInterval(timer) };
}
