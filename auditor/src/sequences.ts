import type { DeliveredEvent } from "@crowdcrunch/kit/eventlog";
import { createCompactMap, shortHash } from "./compact-map.ts";

export interface SequenceOptions {
  /** Most subjects to remember well; all where it is not given. */
  subjectsAtLeast?: number | undefined;
  /** The log is younger than the aggregates: of subjects without any event nothing is known from the beginning. */
  logBeganAnew?: boolean | undefined;
}

/** An event whose number its subject has had before, too long ago to tell whether it is the same event again. */
export interface Doubtful {
  subject: string;
  sequence: number;
  id: string;
}

/** Follows the versions that the events of one topic give to their subjects. */
export interface Sequences {
  /** To be called before the log is read on: it may have dropped events since. */
  beginReading(): void;
  /** Takes the events of a partition in order. */
  take(event: DeliveredEvent): void;
  /** The version up to which all events of a subject were seen; undefined where nothing can be said of it. */
  versionOf(subject: string): number | undefined;
  /** What could not be told and must be looked up in the log. */
  doubtful(): readonly Doubtful[];
  forgetDoubtful(): void;
  /** Says that two events with one number were found. */
  report(doubtful: Doubtful): void;
  isGap(subject: string): boolean;
  violations(): Record<string, unknown>[];
}

/** Redeliveries come soon after the event, after at most as many others. */
const recentEvents = 200_000;
const rowsAtMost = 1_000;

export function createSequences(topic: string, options: SequenceOptions = {}): Sequences {
  let highest = createCompactMap(options.subjectsAtLeast);
  /** The id's hash of the event that gave a subject its version. */
  const recent = createCompactMap(recentEvents);
  /** Versions that came before those below them, by subject. */
  const gaps = new Map<string, Set<number>>();
  const doubles: Record<string, unknown>[] = [];
  let doubtful: Doubtful[] = [];
  const next = new Map<number, number>();
  /** Partitions of which an event has come since reading began. */
  const begun = new Set<number>();
  /** True where the log has dropped events, or began after them: of subjects without any event nothing is known. */
  let isTrimmed = options.logBeganAnew ?? false;

  /** A log drops events from its beginning alone, so an offset that is missing further on is none of its doing. */
  function forgetWhatWasDropped({ partition, offset }: DeliveredEvent): void {
    const expected = next.get(partition) ?? 0;
    next.set(partition, offset + 1);
    if (begun.has(partition)) return;
    begun.add(partition);
    if (offset <= expected) return;
    isTrimmed = true;
    highest = createCompactMap(options.subjectsAtLeast);
    gaps.clear();
  }

  function report({ subject, sequence, id }: Doubtful): void {
    if (doubles.length < rowsAtMost) doubles.push({ topic, subject, version: sequence, again: id });
  }

  function advance(subject: string, version: number): void {
    let reached = version;
    const ahead = gaps.get(subject);
    while (ahead?.delete(reached + 1)) reached += 1;
    if (ahead?.size === 0) gaps.delete(subject);
    highest.set(subject, reached);
  }

  /** Whether the subject had this version before; notes down two events with one version. */
  function isRepeat({ subject, sequence, id }: DeliveredEvent, known: number): boolean {
    if (sequence > known && !gaps.get(subject)?.has(sequence)) return false;
    const before = recent.get(`${subject} ${sequence}`);
    if (before === undefined) doubtful.push({ subject, sequence, id });
    else if (before !== shortHash(id)) report({ subject, sequence, id });
    return true;
  }

  return {
    beginReading: () => begun.clear(),
    take(event) {
      const { subject, sequence } = event;
      forgetWhatWasDropped(event);
      if (event.republished) return;
      const known = highest.get(subject);
      if (isRepeat(event, known ?? 0)) return;
      recent.set(`${subject} ${sequence}`, shortHash(event.id));
      const isStart = known === undefined && (isTrimmed || highest.hasForgotten);
      if (sequence === (known ?? 0) + 1 || isStart) return advance(subject, sequence);
      const ahead = gaps.get(subject) ?? new Set();
      if (gaps.size < rowsAtMost || gaps.has(subject)) gaps.set(subject, ahead.add(sequence));
    },
    versionOf: (subject) => highest.get(subject) ?? (isTrimmed || highest.hasForgotten ? undefined : 0),
    doubtful: () => doubtful,
    forgetDoubtful: () => void (doubtful = []),
    report,
    isGap: (subject) => gaps.has(subject),
    violations: () => [
      ...doubles,
      ...[...gaps].map(([subject, ahead]) => ({
        topic,
        subject,
        version: Math.min(...ahead),
        without: (highest.get(subject) ?? 0) + 1,
      })),
    ],
  };
}
