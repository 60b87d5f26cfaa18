import type { Pool, PoolClient } from "pg";
import type { EventToEmit } from "@crowdcrunch/events/contract";
import type { Budgets } from "./budget.ts";
import { isUnavailable, retryable } from "./errors.ts";
import { inertFaults } from "./faults.ts";
import type { Faults } from "./faults.ts";
import type { Logger } from "./logger.ts";
import { insertIntoOutbox, outboxEvent } from "./outbox.ts";
import type { OutboxEvent } from "./outbox.ts";
import { cutConnection, openPool } from "./pool.ts";
import type { PoolOptions } from "./pool.ts";
import type { Queryable, Statement } from "./statement.ts";

export { connectionSettings } from "./pool.ts";
export { statement } from "./statement.ts";
export type { Queryable, Statement } from "./statement.ts";

export interface Transaction extends Queryable {
  /**
   * Publishes the event if and only if the transaction commits. Emit after locking the aggregate. Throws a RangeError
   * for an event beyond 512 kB.
   */
  emit(event: EventToEmit): void;
  /** Runs after the commit; never when it rolls back. */
  afterCommit(action: () => void): void;
  /** Of the service: what a transaction has done is told after its commit. */
  readonly log: Logger;
}

export interface TransactionOptions {
  /** False: the commit is not waited for on disk and a crash may lose it (carts). Default true. */
  durable?: boolean;
}

export interface Database extends Queryable {
  readonly pool: Pool;
  /** For a connection beside the pool. */
  readonly url: string;
  /** Runs `work` in one READ COMMITTED transaction. Deadlocks and serialization failures are tried again, five times. */
  transaction<T>(work: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Called after each commit that emitted events. */
  onEmitted(listener: () => void): void;
  close(): Promise<void>;
}

export interface DatabaseOptions extends PoolOptions {
  newId: () => string;
  /** How long the requests may take that are answered with it; no bound where not given. */
  budgets?: Budgets | undefined;
  /** Faults on purpose; none where not given. */
  faults?: Faults;
}

const attempts = 5;
const retried = new Set(["40001", "40P01"]);

/** Opens the service's pool. Nothing is connected before the first query. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = openPool(options);
  const listeners: (() => void)[] = [];
  const { budgets, faults = inertFaults } = options;

  async function once<T>(work: (tx: Transaction) => Promise<T>, durable: boolean): Promise<T> {
    const begin = beginOf(durable, budgets?.leftMs());
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      const events: OutboxEvent[] = [];
      const actions: (() => void)[] = [];
      // Sent together with the first statement; if it fails, so does everything behind it.
      const begun = client.query(begin);
      begun.catch(() => {});
      const sent: string[] | undefined = faults.on ? [] : undefined;
      const passing = () => describe(events, sent);
      const tx: Transaction = {
        ...queries(client, budgets, sent),
        emit: (event) => void events.push(outboxEvent(event)),
        afterCommit: (action) => void actions.push(action),
        log: options.log,
      };
      try {
        const result = await work(tx);
        await begun;
        const written = events.length > 0 ? insertIntoOutbox(tx, events, options.newId) : Promise.resolve();
        written.catch(() => {});
        const fault = faults.on ? await faults.at("transaction.before-commit", passing) : undefined;
        const committed = client.query("COMMIT");
        committed.catch(() => {});
        if (fault?.action === "cut") cutConnection(client);
        await written;
        const { command } = await committed;
        if (command !== "COMMIT")
          throw new Error("the transaction was rolled back because one of its statements failed unseen");
        if (faults.on) await faults.at("transaction.after-commit", passing);
        const told = events.length > 0 ? [...listeners, ...actions] : actions;
        // What they start outlives the request.
        const tell = () => told.forEach((action) => action());
        if (budgets) budgets.outside(tell);
        else tell();
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch((cause: Error) => {
          broken = cause;
        });
        throw error;
      }
    } finally {
      client.release(broken);
    }
  }

  return {
    pool,
    url: options.url,
    ...queries(pool, budgets),
    async transaction(work, { durable = true } = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(work, durable);
        } catch (error) {
          const code = (error as { code?: string }).code ?? "";
          if (code === "55P03")
            throw retryable("IN_PROGRESS", "The same thing is being changed by somebody else; try again.", 500);
          if (!retried.has(code) || attempt === attempts) throw error;
          options.log.info({ code, attempt }, "transaction is tried again");
        }
      }
    },
    onEmitted: (listener) => void listeners.push(listener),
    close: () => pool.end(),
  };
}

/** A request's transaction has no statement that takes longer than what the request has left. */
function beginOf(durable: boolean, leftMs: number | undefined): string {
  const settings = durable ? "BEGIN" : "BEGIN; SET LOCAL synchronous_commit = off";
  return leftMs === undefined ? settings : `${settings}; SET LOCAL statement_timeout = ${leftMs}`;
}

/** A transaction as faults are matched: the types of its events, then its statements in brackets. */
function describe(events: OutboxEvent[], sent: string[] = []): string {
  const types = new Set(events.map((event) => event.type));
  return `${[...types].join(",")} (${sent.join(",")})`.trim();
}

/** The names of statements are added to `sent`. */
function queries(client: Pool | PoolClient, budgets: Budgets | undefined, sent?: string[]): Queryable {
  async function many<Row>(query: Statement<Row>, params: unknown[] = []): Promise<Row[]> {
    budgets?.leftMs();
    sent?.push(query.name);
    const result = await client.query({ name: query.name, text: query.text, values: params });
    return result.rows as Row[];
  }
  return {
    many,
    one: async (query, params) => (await many(query, params))[0],
    async run(query, params = []) {
      budgets?.leftMs();
      sent?.push(query.name);
      return (await client.query({ name: query.name, text: query.text, values: params })).rowCount ?? 0;
    },
  };
}

/** Tries until what is needed answers, with back-off to 2 s; stops when `signal` is aborted. `waiting` is logged each time. */
export async function untilAvailable<T>(
  work: () => Promise<T>,
  options: { log: Logger; waiting: string; signal: AbortSignal },
): Promise<T> {
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      // A missing role, database or schema is the bootstrap's work, which may come later than the service.
      const code = (error as { code?: string }).code ?? "";
      if (!isUnavailable(error) && !["28P01", "28000", "3D000", "3F000", "42501", "42P01", "42883"].includes(code))
        throw error;
      options.log.warn({ error: (error as Error).message, retryInMs: waitMs }, options.waiting);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}
