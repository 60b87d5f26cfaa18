import { setTimeout as sleep } from "node:timers/promises";
import type { EventLog } from "@crowdcrunch/kit/eventlog";
import { serviceNames as services } from "@crowdcrunch/shop/parts";
import { rowsAtMost } from "./books.ts";
import type { Query } from "./query.ts";
import { createTopicAudit, logNumbers, openAtMost } from "./topic-audit.ts";
import type { LogNumber, TopicAudit } from "./topic-audit.ts";

export type LogFindings = Record<LogNumber, Record<string, unknown>[]>;

const walkedAtOnce = 5_000;
const lookAgainMs = 500;

/**
 * Reads the whole log once, a topic after the other, and compares it with inboxes, read models and aggregates. Looks
 * again at what is on its way until it has come or the window has passed, so that it takes that much longer at most for
 * each topic; a window of 0 waits for nothing. Memory grows with the aggregates of one topic, some 20 bytes each.
 */
export async function auditLog(options: {
  eventLog: Pick<EventLog, "read" | "lag">;
  query: Query;
  windowSeconds: number;
  logBeganAnew: boolean;
}): Promise<LogFindings> {
  const found: LogFindings = { 15: [], 17: [], 18: [] };
  for (const topic of services) {
    const audit = createTopicAudit({ ...options, topic, nowMs: () => performance.now() });
    await auditTopic(audit);
    for (const number of logNumbers) {
      found[number].push(...audit.violations(number));
      found[number].length = Math.min(found[number].length, rowsAtMost);
    }
  }
  return found;
}

async function auditTopic(audit: TopicAudit): Promise<void> {
  for await (const _ of audit.readOn()) {
    if (audit.open() <= openAtMost) continue;
    await untilSettled(audit);
    // A consumer that is so far behind is a finding by itself, and the rest of it would say the same.
    if (audit.violations(15).length >= openAtMost / 2) return;
  }
  while (await audit.walk(walkedAtOnce));
  await untilSettled(audit);
}

async function untilSettled(audit: TopicAudit): Promise<void> {
  await audit.settle();
  while (audit.open() > 0) {
    await sleep(lookAgainMs);
    await audit.settle();
  }
}
