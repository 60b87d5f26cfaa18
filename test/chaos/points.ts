import { existsSync, openSync, readSync, closeSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { FaultInput, FaultPoint } from "@crowdcrunch/kit/faults";
import { faultControl } from "@crowdcrunch/tools/fault-control";
import type { RunningShop } from "@crowdcrunch/tools/shop";

/** The named points at which processes of the shop fail on purpose; see the kit's fault-points.ts. */
export interface Points {
  /** Sets faults in a service, in place of those before. A process that was killed by one has none when it is back. */
  set(process_: string, faults: (FaultInput & { point: FaultPoint })[]): Promise<void>;
  /** How often a point has fired since the scenario began, by the processes' own logs. */
  fired(point: FaultPoint, process_?: string): number;
  /** What passed when a point fired, oldest first: the details that its faults are matched by. */
  details(point: FaultPoint, process_: string): string[];
  /** How many log lines of a process since the scenario began contain the text. */
  logged(process_: string, text: string): number;
  /** Begins to count anew. */
  mark(): void;
  /** Switches all faults off that were set. */
  clear(): Promise<void>;
}

export function openPoints(shop: RunningShop, seed: number): Points {
  const control = faultControl(shop);
  const touched = new Set<string>();
  let marks = new Map<string, number>();
  const folder = join(shop.varDir, "log");

  function linesOf(name: string): string[] {
    const file = join(folder, `${name}.log`);
    if (!existsSync(file)) return [];
    const from = marks.get(name) ?? 0;
    const bytes = Buffer.alloc(Math.max(0, statSync(file).size - from));
    const descriptor = openSync(file, "r");
    try {
      readSync(descriptor, bytes, 0, bytes.length, from);
    } finally {
      closeSync(descriptor);
    }
    return bytes.toString().split("\n");
  }
  const names = () => readdirSync(folder).flatMap((file) => (file.endsWith(".log") ? [file.slice(0, -4)] : []));

  return {
    async set(name, faults) {
      touched.add(name);
      await control.set(
        name,
        faults.map((fault) => ({ seed, ...fault })),
      );
    },
    fired(point, only) {
      const text = `"point":"${point}"`;
      return names()
        .filter((name) => only === undefined || name === only)
        .flatMap(linesOf)
        .filter((line) => line.includes(`"msg":"fault fired"`) && line.includes(text)).length;
    },
    details: (point, name) =>
      linesOf(name)
        .filter((line) => line.includes(`"msg":"fault fired"`))
        .map((line) => JSON.parse(line) as { point: FaultPoint; detail: string })
        .filter((fired) => fired.point === point)
        .map(({ detail }) => detail),
    logged: (name, text) => linesOf(name).filter((line) => line.includes(text)).length,
    mark() {
      marks = new Map(
        existsSync(folder) ? names().map((name) => [name, statSync(join(folder, `${name}.log`)).size]) : [],
      );
    },
    async clear() {
      for (const name of touched) await control.set(name, []);
      touched.clear();
    },
  };
}
