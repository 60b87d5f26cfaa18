import type { Database, Transaction } from "./database.ts";
import type { Blame } from "./blame.ts";
import { PermanentError, isStatementTimeout, isTransient } from "./errors.ts";
import type { DeliveredEvent } from "./eventlog.ts";
import { dueWaiting, lockWaiting, lockWaitingById, putWaiting, removeWaiting } from "./inbox.ts";
import type { Parking } from "./parking.ts";

/** Events whose time has not come: tried again when their key changes, then with back-off, then parked. */
export interface WaitingRoom {
  /** Keeps events for later. */
  store(tx: Transaction, events: DeliveredEvent[]): Promise<void>;
  /**
   * After something was handled: tries these waiting events again, and `later`, which have just been told to wait, until a
   * round gets none of them further.
   */
  retry(tx: Transaction, stored: string[], later: DeliveredEvent[]): Promise<void>;
  /** Tries again what is due; parks what has waited too long. */
  sweep(): Promise<void>;
  stop(): void;
}

export function createWaitingRoom(options: {
  db: Database;
  parking: Parking;
  blame: Blame;
  /** Runs the handlers. Resolves to those that must wait. */
  dispatch(tx: Transaction, events: DeliveredEvent[]): Promise<DeliveredEvent[]>;
  /** Called when something has been stored. */
  onStored: () => void;
  waitAtMostSeconds: number;
}): WaitingRoom {
  const { db, parking, blame, dispatch, waitAtMostSeconds } = options;
  let stopped = false;

  async function store(tx: Transaction, waiting: DeliveredEvent[]): Promise<void> {
    if (waiting.length === 0) return;
    await tx.run(putWaiting, [
      waiting.map((event) => event.id),
      waiting.map((event) => event.key),
      waiting.map((event) => JSON.stringify(event)),
    ]);
    tx.afterCommit(options.onStored);
  }

  /** Resolves to those that must still wait. */
  async function retryAll(tx: Transaction, events: DeliveredEvent[]): Promise<DeliveredEvent[]> {
    let remaining = events;
    for (;;) {
      const still = await dispatch(tx, remaining);
      const done = remaining.filter((event) => !still.includes(event));
      if (done.length > 0) await tx.run(removeWaiting, [done.map((event) => event.id)]);
      if (still.length === 0 || done.length === 0) return still;
      remaining = still;
    }
  }

  /** Tries what waits on a key, or one event of it. */
  async function tryKey(key: string, only: string | null): Promise<void> {
    await db.transaction(async (tx) => {
      const rows = await tx.many(lockWaiting, [key, waitAtMostSeconds, only]);
      const events = rows.map(({ event }) => event);
      const still = new Set(await retryAll(tx, events));
      const left = rows.filter(({ event }) => still.has(event));
      await store(
        tx,
        left.filter(({ expired }) => !expired).map(({ event }) => event),
      );
      const tooLong = new PermanentError(`waited ${waitAtMostSeconds} s for what must come before it`);
      for (const { event } of left.filter(({ expired }) => expired)) await park(tx, event, tooLong);
    });
  }

  /** Something that waits on the key cannot be handled: finds out which, and parks that. */
  async function tryOneByOne(key: string): Promise<void> {
    for (const { event } of await db.many(lockWaiting, [key, waitAtMostSeconds, null])) {
      try {
        await tryKey(key, event.id);
      } catch (error) {
        if (blame.fallsOn(event, error)) await db.transaction((tx) => park(tx, event, error));
        else if (isStatementTimeout(error)) return;
        else throw error;
      }
      blame.clear(event);
    }
  }

  async function park(tx: Transaction, event: DeliveredEvent, error: unknown): Promise<void> {
    // Where it waits no more, a batch has handled it meanwhile.
    if ((await tx.run(removeWaiting, [[event.id]])) === 1) await parking.park(tx, event, error);
  }

  return {
    store,
    async retry(tx, stored, later) {
      // Locked, because the sweep may be trying them at this moment; what it has finished is no longer there.
      const locked = stored.length === 0 ? [] : (await tx.many(lockWaitingById, [stored])).map(({ event }) => event);
      if (locked.length + later.length > 0) await retryAll(tx, [...locked, ...later]);
    },
    async sweep() {
      for (const { key } of await db.many(dueWaiting)) {
        if (stopped) return;
        try {
          await tryKey(key, null);
        } catch (error) {
          if (isTransient(error) && !isStatementTimeout(error)) throw error;
          await tryOneByOne(key);
        }
      }
    },
    stop() {
      stopped = true;
    },
  };
}
