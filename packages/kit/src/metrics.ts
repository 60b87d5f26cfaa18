import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from "prom-client";

/** A service's metrics. Asking twice for one name gives the same metric. */
export interface Metrics {
  registry: Registry;
  counter<Label extends string = never>(name: string, help: string, labels?: Label[]): Counter<Label>;
  /** `collect` is run, and waited for, whenever the metrics are read. */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels?: Label[],
    collect?: () => Promise<void>,
  ): Gauge<Label>;
  histogram<Label extends string = never>(
    name: string,
    help: string,
    labels?: Label[],
    buckets?: number[],
  ): Histogram<Label>;
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(options: { service: string; processMetrics: boolean }): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service: options.service });
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  return {
    registry,
    counter: (name, help, labels = []) =>
      (registry.getSingleMetric(name) as Counter<(typeof labels)[number]> | undefined) ??
      new Counter({ name, help, labelNames: labels, registers: [registry] }),
    gauge: (name, help, labels = [], collect) =>
      (registry.getSingleMetric(name) as Gauge<(typeof labels)[number]> | undefined) ??
      new Gauge({ name, help, labelNames: labels, registers: [registry], ...(collect && { collect }) }),
    histogram: (name, help, labels = [], buckets = secondsBuckets) =>
      (registry.getSingleMetric(name) as Histogram<(typeof labels)[number]> | undefined) ??
      new Histogram({ name, help, labelNames: labels, buckets, registers: [registry] }),
  };
}
