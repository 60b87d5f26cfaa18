import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import type { Shop } from "./shop.ts";

/** Asks an address from where it runs, a graph for its own name; prints "HTTP 200 …" with the answer's beginning, "answered …", or "refused …". */
const asking = `
const url = new URL(process.argv[1]);
const end = (text) => { console.log(text); process.exit(0); };
setTimeout(() => end("silent"), 8000);
const why = (error) => end("refused " + (error.cause?.code ?? error.code ?? error.message));
if (url.protocol === "http:") {
  const question = { method: "POST", headers: { "content-type": "application/json" }, body: '{"query":"{ __typename }"}' };
  fetch(url, url.pathname === "/graphql" ? question : {}).then(async (answer) => end("HTTP " + answer.status + " " + (await answer.text()).slice(0, 60)), why);
} else {
  // What a bare connection sees: Postgres answers N to a request for TLS, Kafka its list of versions.
  const postgres = [0, 0, 0, 8, 4, 210, 22, 47];
  const kafka = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255];
  const socket = require("node:net").connect(Number(url.port), url.hostname);
  socket.on("connect", () => socket.write(Buffer.from(url.port === "5432" ? postgres : kafka)));
  socket.on("data", (data) => end("answered with " + data.length + " bytes"));
  socket.on("error", why);
  socket.on("close", () => end("refused: closed"));
}`;

type Exec = (command: readonly string[]) => Promise<string>;

/** What an address answers to somebody in the cluster. */
export async function askFrom(exec: Exec, target: string): Promise<string> {
  return (await exec(["node", "-e", asking, target])).trim();
}

/** A pod beside the shop without a sidecar, of one of its images, that does nothing but ask. */
export async function runOutsider(
  cluster: Cluster,
  { namespace, like }: { namespace: string; like: Shop },
): Promise<{ exec: Exec }> {
  const [pod] = await like.pods("app.kubernetes.io/name=gateway");
  const image = pod!.status.containerStatuses!.find(({ name }) => name === "gateway")!.image;
  const kubectl: Cluster["kubectl"] = (args, options) => cluster.kubectl(["-n", namespace, ...args], options);
  const command = ["--command", "--", "node", "-e", "setInterval(() => {}, 1e6)"];
  await kubectl([
    "run",
    "outsider",
    `--image=${image}`,
    "--image-pull-policy=IfNotPresent",
    "--restart=Never",
    ...command,
  ]);
  await kubectl(["wait", "--for=condition=Ready", "pod/outsider", "--timeout=60s"], { timeoutMs: 70_000 });
  return { exec: (words) => kubectl(["exec", "outsider", "--", ...words]) };
}
