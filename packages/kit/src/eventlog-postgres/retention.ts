import { messageOf } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Control } from "./control.ts";

const trim = {
  name: "eventlog_trim",
  text: `SELECT eventlog.trim($1, $2 * interval '1 ms', $3) AS removed`,
};
const everyMs = 3_600_000;
/** Few enough for a statement of milliseconds: it holds up the appends to the topic. */
const mostOfPartition = 250;
const pauseMs = 20;

/** Removes events of a topic once they are older than `retentionMs`: now, and then every hour. Returns what stops it. */
export function keepTrimmed(
  control: Control,
  { topic, retentionMs, log }: { topic: string; retentionMs: number; log: Logger },
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function round(): Promise<void> {
    let removed = 0;
    try {
      while (!stopped) {
        const [row] = await control.query<{ removed: number }>(trim, [topic, retentionMs, mostOfPartition]);
        if (!row?.removed) break;
        removed += row.removed;
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      if (removed > 0) log.info({ topic, removed }, "events beyond the retention are removed");
    } catch (error) {
      log.warn({ topic, error: messageOf(error) }, "old events could not be removed");
    }
    if (!stopped) timer = setTimeout(() => void round(), everyMs);
  }

  void round();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
