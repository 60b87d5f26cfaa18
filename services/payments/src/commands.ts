import type { EventOf } from "@crowdcrunch/events/contract";
import type { customerErased } from "@crowdcrunch/events/customers";
import type { Database, Transaction } from "@crowdcrunch/kit/database";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Presence } from "@crowdcrunch/kit/presence";
import { createDispute } from "./commands/dispute.ts";
import { obeyInstructions, openPayments, reassign } from "./commands/instruct.ts";
import { createRetry } from "./commands/retry.ts";
import { createSettle } from "./commands/settle.ts";
import type { DueOperation } from "./payment.ts";
import * as store from "./store.ts";

export interface CommandsContext {
  db: Database;
  newId: () => string;
  log: Logger;
  presence: Pick<Presence, "number">;
}

/** Told what there is to do: operations that are taken up already, and that others may be due. */
export interface OperationsListener {
  begin(operations: DueOperation[]): void;
  nudge(): void;
}

export type Commands = ReturnType<typeof createCommands>;

/** What can be done to payments. */
export function createCommands(context: CommandsContext) {
  const { db, presence } = context;
  const listeners: OperationsListener[] = [];
  const onDue = () => listeners.forEach((listener) => listener.nudge());
  const begin = (operations: DueOperation[]) => listeners.forEach((listener) => listener.begin(operations));
  return {
    onOperations: (listener: OperationsListener) => void listeners.push(listener),
    openPayments: (tx: Transaction, events: Parameters<typeof openPayments>[1]) =>
      openPayments(tx, events, presence.number(), { begin, nudge: onDue }),
    obey: (tx: Transaction, events: Parameters<typeof obeyInstructions>[1]) => obeyInstructions(tx, events, onDue),
    reassign,
    erase: async (tx: Transaction, events: EventOf<typeof customerErased>[]): Promise<void> => {
      await tx.run(store.eraseCustomers, [
        events.map(({ data }) => data.customerId),
        events.map(({ data }) => data.at),
      ]);
    },
    settle: createSettle({ ...context, onDue }),
    dispute: createDispute(context),
    retry: createRetry({ db, onDue }),
    /** Takes up at most `limit` operations. Losing the commit loses a lease, which the idempotency key makes harmless. */
    claim: (limit: number) =>
      db.transaction((tx) => tx.many(store.claimOperations, [limit, presence.number()]), { durable: false }),
    /** Lets operations be claimed at once whose process has ended; resolves to how many. */
    releaseAbandoned: () => db.run(store.releaseAbandoned),
  };
}
