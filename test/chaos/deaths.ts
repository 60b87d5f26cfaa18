import type { FaultInput, FaultPoint } from "@crowdcrunch/kit/faults";
import type { World } from "./world.ts";

/** Who dies, at which point, with what passing. */
export type Death = [victim: string, point: FaultPoint, match?: string | Pick<FaultInput, "match" | "afterPasses">];

/**
 * Kills each in turn at its point, and lets purchases flow in between. Resolves to how often a point fired, by the logs of
 * those who died.
 */
export async function dieInTurn(
  { points, processes, inject, heal, until, load }: World,
  deaths: readonly Death[],
): Promise<number> {
  for (const [victim, point, match = {}] of deaths) {
    const before = processes.restartsOf(victim);
    const more = typeof match === "string" ? { match } : match;
    await inject(`${victim} dies at ${point}${more.match ? `, ${more.match}` : ""}`, () =>
      points.set(victim, [{ point, action: "kill", times: 1, ...more }]),
    );
    await until(
      `the death of ${victim} at ${point} ${more.match ?? ""}`,
      () => processes.restartsOf(victim) > before,
      60,
    );
    await processes.untilReady(victim);
    await heal(`${victim} is back`);
    const acknowledged = load.acknowledged.length;
    await until("more purchases", () => load.acknowledged.length > acknowledged + 5);
  }
  const places = new Map(deaths.map(([victim, point]) => [`${victim} ${point}`, points.fired(point, victim)]));
  return [...places.values()].reduce((sum, count) => sum + count, 0);
}
