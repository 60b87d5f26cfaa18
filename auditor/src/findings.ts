import type { Logger } from "@crowdcrunch/kit/logger";
import type { Metrics } from "@crowdcrunch/kit/metrics";
import type { CheckedInvariant } from "./invariant.ts";
import { checkedInvariants } from "./invariants.ts";

/** What the last check of each invariant said, for people, metrics and the log. */
export interface Findings {
  /** A check has ended: with the offending rows, and how long it took, in ms. */
  checked(invariant: CheckedInvariant, rows: Record<string, unknown>[], durationMs: number): void;
  /** A check could not be made; what was found before stands. */
  failed(invariant: CheckedInvariant, error: Error): void;
  /** A line for each invariant, and its rows. */
  lines(): string[];
}

interface Finding {
  invariant: CheckedInvariant;
  rows: Record<string, unknown>[];
  /** Rows that were logged already, as JSON. */
  logged: Set<string>;
  problem?: string | undefined;
  wasChecked: boolean;
}

const loggedRows = 20;

export function createFindings({ log, metrics }: { log: Logger; metrics: Metrics }): Findings {
  const labels: ["invariant"] = ["invariant"];
  const violations = metrics.gauge(
    "crowdcrunch_invariant_violations",
    "Rows that break an invariant, up to 1,000 of a kind",
    labels,
  );
  const unchecked = metrics.gauge(
    "crowdcrunch_invariant_unchecked",
    "1 where the last check of an invariant could not be made, or none was",
    labels,
  );
  const checkedAt = metrics.gauge(
    "crowdcrunch_invariant_last_check_timestamp_seconds",
    "When an invariant was last checked",
    labels,
  );
  const seconds = metrics.gauge("crowdcrunch_invariant_check_seconds", "How long its last check took", labels);
  const findings = new Map(
    checkedInvariants.map((invariant): [number, Finding] => [
      invariant.number,
      { invariant, rows: [], logged: new Set(), wasChecked: false },
    ]),
  );
  for (const { name } of checkedInvariants) unchecked.set({ invariant: name }, 1);

  return {
    checked(invariant, rows, durationMs) {
      const finding = findings.get(invariant.number)!;
      const { number, name, says, kind } = invariant;
      const texts = rows.map((row) => JSON.stringify(row));
      const fresh = rows.filter((_, index) => !finding.logged.has(texts[index]!));
      if (fresh.length > 0)
        log.error({ invariant: number, name, kind, rows: fresh.slice(0, loggedRows), count: rows.length }, says);
      else if (rows.length === 0 && finding.rows.length > 0) log.info({ invariant: number, name }, "it holds again");
      Object.assign(finding, { rows, logged: new Set(texts), problem: undefined, wasChecked: true });
      violations.set({ invariant: name }, rows.length);
      unchecked.set({ invariant: name }, 0);
      checkedAt.setToCurrentTime({ invariant: name });
      seconds.set({ invariant: name }, durationMs / 1_000);
    },
    failed(invariant, error) {
      const finding = findings.get(invariant.number)!;
      const { number, name } = invariant;
      if (finding.problem !== error.message)
        log.warn({ invariant: number, name, error: error.message }, "an invariant could not be checked");
      finding.problem = error.message;
      unchecked.set({ invariant: name }, 1);
    },
    lines: () =>
      [...findings.values()].flatMap(({ invariant: { number, says, kind }, rows, problem, wasChecked }) => [
        `${String(number).padStart(2)} ${wasChecked ? (rows.length === 0 ? "held    " : "VIOLATED") : "–       "} ${says} (${kind})`,
        ...(problem === undefined ? [] : [`            could not be checked: ${problem}`]),
        ...rows.slice(0, loggedRows).map((row) => `            ${JSON.stringify(row)}`),
      ]),
  };
}
