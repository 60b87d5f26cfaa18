import type { Shop } from "./shop.ts";

const reading = `fetch("http://127.0.0.1:" + process.env.METRICS_PORT + "/metrics").then((answer) => answer.text()).then(console.log)`;

/** A metric of one process by its labels, as it tells it on its own port; `of` is a pod, or deploy/<name>. */
export async function metricOf(
  { kubectl }: Pick<Shop, "kubectl">,
  process_: { of: string; container: string },
  name: string,
): Promise<Map<string, number>> {
  const text = await kubectl(["exec", process_.of, "-c", process_.container, "--", "node", "-e", reading]);
  const found = text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`, "gm"));
  return new Map([...found].map(([, labels, value]) => [labels ?? "", Number(value)]));
}

/** The sum over all labels. */
export function sumOf(metric: Map<string, number>): number {
  return [...metric.values()].reduce((sum, value) => sum + value, 0);
}
