import type { PartitionLag } from "@crowdcrunch/kit/eventlog";

/** Violations that are kept in mind; there are enough of them. */
const violationsAtMost = 10_000;

/** Something that an event must come to at a consumer. */
export interface Expectation {
  /** What tells it from others, e.g. the consumer and the event's id. */
  name: string;
  consumer: string;
  topic: string;
  partition: number;
  offset: number;
  /** What a report shows. */
  row: Record<string, unknown>;
}

interface Waiting<Expected> {
  expected: Expected;
  sinceMs: number;
  isViolated: boolean;
}

export interface Waitlist<Expected extends Expectation> {
  /** Adds what was looked at once and not found. */
  add(expected: Expected[]): void;
  /** Looks again at all of them. */
  look(): Promise<void>;
  /** How many have neither come nor waited long enough to be violations. */
  open(): number;
  violations(): Record<string, unknown>[];
}

/**
 * Expectations that were not met at the first look: an event may be on its way. One counts as violated when its consumer
 * has committed an offset behind the event, or when it has been waited for longer than the window.
 */
export function createWaitlist<Expected extends Expectation>(options: {
  windowMs: number;
  /** Those of these that are still not met. */
  unmet(expected: Expected[]): Promise<Expected[]>;
  lag(consumer: string, topics: string[]): Promise<PartitionLag[]>;
  /** Monotonic clock, in ms. */
  nowMs(): number;
}): Waitlist<Expected> {
  const { windowMs, nowMs } = options;
  const waiting = new Map<string, Waiting<Expected>>();

  /** Where each consumer of what is waited for stands, by "consumer topic partition". */
  async function committedOffsets(): Promise<Map<string, number>> {
    const topics = new Map<string, Set<string>>();
    for (const { expected } of waiting.values()) {
      topics.set(expected.consumer, (topics.get(expected.consumer) ?? new Set()).add(expected.topic));
    }
    const committed = new Map<string, number>();
    for (const [consumer, names] of topics) {
      for (const position of await options.lag(consumer, [...names]))
        committed.set(`${consumer} ${position.topic} ${position.partition}`, position.committed);
    }
    return committed;
  }

  return {
    add(all) {
      for (const expected of all) {
        const known = waiting.get(expected.name);
        waiting.set(expected.name, { sinceMs: nowMs(), isViolated: false, ...known, expected });
      }
    },
    async look() {
      if (waiting.size === 0) return;
      // Positions first: what is missing after that was passed over where the position is behind it.
      const committed = await committedOffsets();
      const unmet = new Set(
        (await options.unmet([...waiting.values()].map(({ expected }) => expected))).map(({ name }) => name),
      );
      let violated = 0;
      for (const [name, entry] of waiting) {
        if (!unmet.has(name)) {
          waiting.delete(name);
          continue;
        }
        const { consumer, topic, partition, offset } = entry.expected;
        const isPassedOver = (committed.get(`${consumer} ${topic} ${partition}`) ?? 0) > offset;
        entry.isViolated ||= isPassedOver || nowMs() - entry.sinceMs >= windowMs;
        if (entry.isViolated && (violated += 1) > violationsAtMost) waiting.delete(name);
      }
    },
    open: () => [...waiting.values()].filter(({ isViolated }) => !isViolated).length,
    violations: () => [...waiting.values()].filter(({ isViolated }) => isViolated).map(({ expected }) => expected.row),
  };
}
