import { createMetrics } from "@crowdcrunch/kit/metrics";
import { expect, test } from "vitest";
import { createAdmission } from "./admission.ts";
import type { Admission } from "./admission.ts";

const admissionOf = (concurrency: number, queueMs: number): Admission =>
  createAdmission({ concurrency, queueMs, metrics: createMetrics({ service: "gateway", processMetrics: false }) });

test("who waits has its turn in order, mutations before queries", async () => {
  const admission = admissionOf(1, 10_000);
  const leave = await admission.enter(false);
  const order: string[] = [];
  const waiting = ["query 1", "query 2", "mutation 1", "mutation 2"].map(async (name) => {
    const done = await admission.enter(name.startsWith("mutation"));
    order.push(name);
    done();
  });
  leave();
  await Promise.all(waiting);
  expect(order).toEqual(["mutation 1", "mutation 2", "query 1", "query 2"]);
});

test("whose turn does not come in time is told to come back, and takes nobody's place", async () => {
  const admission = admissionOf(2, 30);
  const leaves = [await admission.enter(true), await admission.enter(true)];
  await expect(admission.enter(true)).rejects.toMatchObject({ code: "OVERLOADED", retryAfterMs: 1_000 });
  for (const leave of leaves) leave();
  const again = await Promise.all([admission.enter(false), admission.enter(false)]);
  expect(again).toHaveLength(2);
});

test("more than could have their turn in time do not wait at all", async () => {
  const admission = admissionOf(1, 60_000);
  const leave = await admission.enter(true);
  const waiting = Array.from({ length: 10 }, async () => (await admission.enter(false))());
  await expect(admission.enter(true)).rejects.toMatchObject({ code: "OVERLOADED" });
  leave();
  await Promise.all(waiting);
});
