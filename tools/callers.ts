/**
 * Writes callers.yaml: who may call whom in a cluster, as data. The chart makes its NetworkPolicies and, with Istio, its
 * AuthorizationPolicies and routes of it. `--check` writes nothing and fails when the committed file is stale.
 */
import { passThrough } from "@crowdcrunch/gateway/paths";
import { shopPaths, shopperPaths } from "@crowdcrunch/provider/paths";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { main } from "./environment.ts";
import { keepFresh } from "./generated-file.ts";

/** Where the graph of callers is kept. */
export const callersFile = "callers.yaml";

/** What may be asked over HTTP. */
export interface Operation {
  methods: string[];
  /** A trailing `*` stands for the rest of the path. */
  paths: string[];
  /** True where asking again changes nothing. */
  repeatable: boolean;
}

/** One may call the other. */
export interface Edge {
  /** A component, or `shoppers`: whoever comes from outside. */
  from: string;
  /** A component, or what is outside of the shop: `kubernetes` is its API, `mail` the mail server of SMTP_URL. */
  to: string;
  /** The name of the port, where the callee is a component. */
  port?: "http" | "tcp-postgres" | "tcp-kafka";
  /** Over HTTP: all that may be asked, in the order in which it is to be matched. */
  operations?: Operation[];
}

function operation(path: string, methods: string[], repeatable = false): Operation {
  return { methods, paths: [path], repeatable };
}

/** What the gateway passes on to one service, or everything. */
function passedOn(to?: string): Operation[] {
  return passThrough
    .filter(({ service }) => to === undefined || service === to)
    .map(({ path, methods, repeatable }) => operation(path, methods, repeatable));
}

/** The whole graph. The order of operations is that of the sources: the more special path comes first. */
export function callers(): Edge[] {
  // A query by GET may be a subscription, which no time-out may end; OPTIONS asks what a storefront elsewhere may do.
  const everythingForShoppers = [operation("/graphql", ["GET", "OPTIONS", "POST"]), ...passedOn()];
  const ofProvider = (paths: typeof shopPaths) => paths.map(({ path, methods }) => operation(path, methods));
  return [
    // The pages of the bank first: the gateway passes on whatever else there is.
    { from: "shoppers", to: "provider", port: "http", operations: ofProvider(shopperPaths) },
    { from: "shoppers", to: "gateway", port: "http", operations: everythingForShoppers },
    // What helm test runs buys something as a shopper would.
    { from: "purchase", to: "gateway", port: "http", operations: everythingForShoppers },
    { from: "provider", to: "gateway", port: "http", operations: passedOn("payments") },
    { from: "payments", to: "provider", port: "http", operations: ofProvider(shopPaths) },
    ...services.map((to): Edge => {
      return { from: "gateway", to, port: "http", operations: [operation("/graphql", ["POST"]), ...passedOn(to)] };
    }),
    ...[...services, "provider", "gateway", "auditor", "setup"].map((from): Edge => {
      return { from, to: "postgres", port: "tcp-postgres" };
    }),
    ...[...services, "gateway", "auditor"].map((from): Edge => ({ from, to: "kafka", port: "tcp-kafka" })),
    ...["customers", "fulfillment"].map((from): Edge => ({ from, to: "mail" })),
    { from: "setup", to: "kubernetes" },
  ];
}

const note = `# Made by \`make callers\` from the gateway's and the provider's paths and the list of services; not edited by hand.
# Who may call whom in a cluster; everything else is refused.
`;

/** The text of the file. */
export function callersText(): string {
  return `${note}edges:\n${callers().map(edgeText).join("")}`;
}

function edgeText({ from, to, port, operations }: Edge): string {
  const called = port === undefined ? "" : `, port: ${port}`;
  if (operations === undefined) return `  - { from: ${from}, to: ${to}${called} }\n`;
  const lines = operations.map(({ methods, paths, repeatable }) => {
    const asked = `methods: [${methods.join(", ")}], paths: [${paths.join(", ")}]`;
    return `      - { ${asked}${repeatable ? ", repeatable: true" : ""} }\n`;
  });
  return `  - from: ${from}\n    to: ${to}\n    port: ${port}\n    operations:\n${lines.join("")}`;
}

if (import.meta.main) await main(async () => keepFresh(callersFile, callersText(), "callers"));
