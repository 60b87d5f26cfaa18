import { isAbsolute, join } from "node:path";
import { Problem } from "@crowdcrunch/kit/program";
import { repositoryRoot } from "./schemas.ts";

export { Problem, main } from "@crowdcrunch/kit/program";

/** Where a shop of this checkout lives: two with different values run side by side. */
export interface ShopPlace {
  /** Absolute path of the folder for data, logs and secrets: CROWDCRUNCH_VAR, by default var/. */
  varDir: string;
  /** Added to every port: PORT_OFFSET, by default 0. */
  portOffset: number;
}

/** Reads CROWDCRUNCH_VAR and PORT_OFFSET. Throws with a sentence when the offset is not a number of 0 to 60000. */
export function shopPlace(environment: NodeJS.ProcessEnv = process.env): ShopPlace {
  const varDir = environment.CROWDCRUNCH_VAR || "var";
  const portOffset = Number(environment.PORT_OFFSET || 0);
  if (!Number.isInteger(portOffset) || portOffset < 0 || portOffset > 60_000) {
    throw new Problem(`PORT_OFFSET is "${environment.PORT_OFFSET}"; it must be a whole number of 0 to 60000.`);
  }
  return { varDir: isAbsolute(varDir) ? varDir : join(repositoryRoot, varDir), portOffset };
}
