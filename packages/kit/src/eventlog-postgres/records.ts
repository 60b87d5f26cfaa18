import type { DeliveredEvent } from "../eventlog.ts";

/** A row of `eventlog.events`. */
export interface EventRow {
  topic: string;
  partition: number;
  offset: number;
  id: string;
  type: string;
  key: string;
  subject: string;
  sequence: number;
  time: Date;
  traceparent: string | null;
  republished: boolean;
  data: unknown;
}

/** The columns of an EventRow, of a table that is called `e` in the query. */
export const eventColumns = `e.topic, e.partition, e."offset", e.id, e.type, e.key, e.subject, e.sequence, e.time, e.traceparent, e.republished, e.data`;

export function toEvent(row: EventRow): DeliveredEvent {
  return {
    id: row.id,
    type: row.type,
    key: row.key,
    subject: row.subject,
    sequence: row.sequence,
    time: row.time.toISOString(),
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    ...(row.republished ? { republished: true } : {}),
    data: row.data,
    topic: row.topic,
    partition: row.partition,
    offset: row.offset,
  };
}

export const topicChannel = (topic: string): string => `eventlog.topic.${topic}`;
export const groupChannel = (group: string): string => `eventlog.group.${group}`;
