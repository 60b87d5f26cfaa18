import { programsMissing } from "./programs.ts";
import { schemasMissing } from "./schemas.ts";

/**
 * Why the chart cannot be rendered and validated on this machine; undefined where it can. Builds nothing: what is not
 * here yet, but can be built, is not missing.
 */
export function helmMissing(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  return programsMissing(environment) ?? schemasMissing(environment);
}
