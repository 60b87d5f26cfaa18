import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "@crowdcrunch/tools/cluster/cluster";
import type { Shop } from "./shop.ts";

/** The release that is installed, and the one after it, as charts; their images are in the cluster. */
export interface Releases {
  /** The packaged chart of this release, for example …/crowdcrunch-0.1.0.tgz. */
  thisRelease: string;
  /** Its version, which is also its images' tag. */
  thisTag: string;
  nextRelease: string;
  nextTag: string;
}

/** What a check sees. */
export interface World {
  cluster: Cluster;
  /** True where Istio runs in the cluster, and the shop in the mesh. */
  mesh: boolean;
  releases: Releases;
  /** The shop that most checks look at. Throws where it is not installed. */
  shop: Shop;
  /** Opens the shop that has been installed; later checks see it as `shop`. */
  open(shop: Shop): void;
  /** A file for the driver's log. */
  driverLog: string;
  /** A namespace of this run, removed with it. Labels are what the namespace gets. */
  makeNamespace(name: string, labels: Record<string, string>): Promise<void>;
  removeNamespace(name: string): Promise<void>;
  /** Prints what is going on, with the time since the check began. */
  say(sentence: string): void;
  /** Looks until there is something. Throws with what did not come; what the look throws counts as nothing until then. */
  until<Seen>(what: string, look: () => Promise<Seen>, seconds?: number): Promise<NonNullable<Exclude<Seen, false>>>;
}

const lookEveryMs = 400;

/** As World has it. */
export async function until<Seen>(
  what: string,
  look: () => Promise<Seen>,
  seconds = 30,
): Promise<NonNullable<Exclude<Seen, false>>> {
  const giveUpAtMs = performance.now() + seconds * 1_000;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== false && seen != null) return seen as NonNullable<Exclude<Seen, false>>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > giveUpAtMs)
      throw new Error(`${what} did not come within ${seconds} s${last ? `: ${(last as Error).message}` : ""}`);
    await sleep(lookEveryMs);
  }
}
