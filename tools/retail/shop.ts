import { Problem } from "../environment.ts";
import type { ShopPlace } from "../environment.ts";
import { ensureShop } from "../shop.ts";
import type { RunningShop } from "../shop.ts";
import { isAlive, readState } from "../supervisor-state.ts";

/** The shop that runs in this place, ready. Throws a Problem where none runs. */
export async function runningShop(place: ShopPlace): Promise<RunningShop> {
  const state = readState(place.varDir);
  if (!state || !isAlive(state)) throw new Problem("No shop runs here: start it with make up.");
  return ensureShop(place);
}
