import { describe, inject, test } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** The Kafka that all test files of a run share, or why there is none. */
    kafka: { brokers: string[]; missing?: string };
  }
}

/** Tests on the Kafka of this run, given its addresses; skipped, with the reason, where there is none. */
export function describeOnKafka(name: string, tests: (brokers: string[]) => void): void {
  const { brokers, missing } = inject("kafka");
  const skipped = () => test("needs a Kafka", (context) => context.skip(missing));
  const declare = missing === undefined ? tests : skipped;
  describe(name, () => {
    declare(brokers);
  });
}
