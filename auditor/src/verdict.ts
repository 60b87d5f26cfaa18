import { Problem } from "@crowdcrunch/kit/program";
import { readDriverLog } from "./acknowledged.ts";
import { auditShop } from "./audit.ts";

export interface VerdictOptions {
  /** The database as a role that may read every schema and nothing else. */
  url: string;
  /** Variables that say where the event log is; and WINDOW and ACKNOWLEDGED, as `make audit` has them. */
  env: Record<string, string | undefined>;
  say: (line: string) => void;
  /** What to do where no database answers. */
  wayOut: string;
}

/**
 * Audits once and says what it finds, with a last line that sums up. Resolves to whether all invariants hold. WINDOW is
 * the time in seconds that everything has which is on its way, ACKNOWLEDGED the log of a load driver. Throws a Problem
 * where one of them is wrong, or no database answers.
 */
export async function sayVerdict({ url, env, say, wayOut }: VerdictOptions): Promise<boolean> {
  const { WINDOW, ACKNOWLEDGED } = env;
  const windowSeconds = WINDOW ? Number(WINDOW) : undefined;
  if (windowSeconds !== undefined && !(windowSeconds >= 0 && windowSeconds < Infinity))
    throw new Problem(`WINDOW is "${WINDOW}"; it must be a number of seconds.`);
  const acknowledged = ACKNOWLEDGED
    ? await readDriverLog(ACKNOWLEDGED).catch((error: Error) => {
        throw new Problem(`ACKNOWLEDGED cannot be read: ${error.message}.`);
      })
    : undefined;
  const violated = await auditShop({
    url,
    env,
    ...(windowSeconds === undefined ? {} : { windowSeconds }),
    ...(acknowledged ? { acknowledged } : {}),
    say,
  }).catch((error: Error) => {
    if ((error as { code?: string }).code === "ECONNREFUSED") throw new Problem(`No database answers: ${wayOut}`);
    throw error;
  });
  say(violated === 0 ? "All invariants hold." : `${violated} invariants are violated.`);
  return violated === 0;
}
