import type { EventLog, EventRecord } from "@crowdcrunch/kit/eventlog";

/** What a topic has got, as told by reading it. */
export interface Occurrences {
  /** Each event once, as it came first. */
  events: EventRecord[];
  /** How often an event came again. */
  repeats: number;
  /** Those that came, for the first time, behind a later one of their subject. */
  overtaken: EventRecord[];
}

/** Where a topic ends now, by partition. */
export async function endsOf(eventLog: EventLog, topic: string): Promise<Map<number, number>> {
  const lags = await eventLog.lag(topic, [topic]);
  return new Map(lags.map(({ partition, end }) => [partition, end]));
}

/** Reads what has come into a topic behind these ends. */
export async function occurrencesSince(
  eventLog: EventLog,
  topic: string,
  ends: ReadonlyMap<number, number>,
): Promise<Occurrences> {
  const seen = new Set<string>();
  const highest = new Map<string, number>();
  const found: Occurrences = { events: [], repeats: 0, overtaken: [] };
  for await (const { offset: _, partition: __, topic: ___, ...event } of eventLog.read(topic, ends)) {
    if (seen.has(event.id)) {
      found.repeats += 1;
      continue;
    }
    seen.add(event.id);
    found.events.push(event);
    const { subject, sequence, republished } = event;
    if (republished) continue;
    const before = highest.get(subject) ?? 0;
    if (sequence < before) found.overtaken.push(event);
    highest.set(subject, Math.max(before, sequence));
  }
  return found;
}
