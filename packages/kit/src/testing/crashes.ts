import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect } from "vitest";

// What a state machine meets in a shop that crashes, for tests that drive it in memory by random sequences.

/**
 * What becomes of a transaction. It commits; or its process dies before the commit, the decision is lost and the same
 * comes again; or it commits, the answer is lost, and the same comes again as if it were new.
 */
export type Fate = "commits" | "crashes" | "repeats";

export const fate: fc.Arbitrary<Fate> = fc.constantFrom("commits", "commits", "crashes", "repeats");

export interface StoredState<State> {
  /** What is stored. It is frozen: a decision gets a copy, as from a database. */
  readonly state: State;
  /**
   * Decides on what is stored and stores what the decision left in its copy. A decision that throws stores nothing.
   * `crashes` decides once before, and fails where the lost decision has left a trace. `repeats` decides once more
   * after: what is stored must stay as it is, and the result or error of that goes to `repeated`; without it the
   * instruction is one whose repetition never gets here, because the inbox knows its event.
   */
  transact<Result>(
    how: Fate,
    decision: (loaded: State) => Result,
    repeated?: (again: Result | undefined) => void,
  ): Result;
}

export function storedState<State>(initial: State): StoredState<State> {
  let state = deepFreeze(structuredClone(initial));

  function attempt<Result>(decision: (loaded: State) => Result) {
    const loaded = structuredClone(state);
    try {
      return { loaded, result: decision(loaded) };
    } catch (error) {
      return { loaded: state, error: error as Error };
    }
  }

  return {
    get state() {
      return state;
    },
    transact(how, decision, repeated) {
      const lost = how === "crashes" ? attempt(decision) : undefined;
      const made = attempt(decision);
      if (lost) expectSame(made, lost);
      state = deepFreeze(made.loaded);
      if (how === "repeats" && repeated) {
        const again = attempt(decision);
        expectSame(again.loaded, state);
        repeated(again.result);
      }
      if (made.error) throw made.error;
      return made.result as ReturnType<typeof decision>;
    },
  };
}

/** Ids as a process that has just started makes them: the same for the same seed. */
export function idsFrom(seed: number): () => string {
  let last = seed * 1_000;
  return () => `00000000-0000-7000-8000-${String((last += 1)).padStart(12, "0")}`;
}

/** As `expect(actual).toEqual(expected)`, and a hundred times faster where they are equal. */
export function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

/** One kind of step of a random run: `run` takes it on the model and on what is tested. Prints itself in a counterexample. */
export function step<Model extends object, Real, Input>(
  name: string,
  input: fc.Arbitrary<Input>,
  run: (model: Model, real: Real, input: Input) => void,
): fc.Arbitrary<fc.Command<Model, Real>> {
  return input.map((given) => ({
    check: () => true,
    run: (model, real) => run(model, real, given),
    toString: () => `${name} ${JSON.stringify(given)}`,
  }));
}

/** Whoever changes it or a part of it later fails. */
export function deepFreeze<Value>(value: Value): Value {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}
