/** Waits for things to come to a state, many at a time, with one look at the ledgers for all of them. */
import { setTimeout as sleep } from "node:timers/promises";
import { Failure } from "./failure.ts";

export interface Watch<State extends { id: string }> {
  /** Resolves to the thing's state once `reached` accepts it. Rejects with a Failure where that takes too long. */
  until(id: string, reached: (state: State) => boolean, waitingFor: string): Promise<State>;
}

interface Waiting<State> {
  reached: (state: State) => boolean;
  resolve: (state: State) => void;
  reject: (error: unknown) => void;
  giveUpAt: number;
  waitingFor: string;
}

const lookEveryMs = 150;
const patienceMs = 180_000;

/** `look` reads the present states of these ids. */
export function createWatch<State extends { id: string }>(
  look: (ids: string[]) => Promise<State[]>,
  stop: AbortSignal,
): Watch<State> {
  const waiting = new Map<string, Waiting<State>>();
  let looking = false;

  function settle(id: string, act: (one: Waiting<State>) => void): void {
    const one = waiting.get(id);
    waiting.delete(id);
    if (one) act(one);
  }

  async function run(): Promise<void> {
    looking = true;
    try {
      while (waiting.size > 0) {
        await sleep(lookEveryMs);
        stop.throwIfAborted();
        for (const state of await look([...waiting.keys()])) {
          if (waiting.get(state.id)?.reached(state)) settle(state.id, ({ resolve }) => resolve(state));
        }
        for (const [id, { giveUpAt, waitingFor }] of waiting) {
          if (performance.now() < giveUpAt) continue;
          settle(id, ({ reject }) => reject(new Failure(`waited ${patienceMs / 1000} s for ${waitingFor}`)));
        }
      }
    } catch (error) {
      for (const id of waiting.keys()) settle(id, ({ reject }) => reject(error));
    } finally {
      looking = false;
    }
  }

  return {
    until: (id, reached, waitingFor) =>
      new Promise((resolve, reject) => {
        waiting.set(id, { reached, resolve, reject, waitingFor, giveUpAt: performance.now() + patienceMs });
        if (!looking) void run();
      }),
  };
}
