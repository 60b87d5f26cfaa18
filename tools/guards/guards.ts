/** A line that keeps something from being lost or doubled, and the tests that must miss it. */
export interface Guard {
  /** What it is, in a word or two; SCENARIO-like names, e.g. "inbox-look-up". */
  name: string;
  /** What would go wrong without it. */
  without: string;
  file: string;
  /** The text of the guard, which stands exactly once in its file. */
  find: string;
  /** What stands there once it is taken out. */
  replace: string;
  /** Files of tests, at least one of which must fail without the guard. */
  tests: string[];
  /** Only tests of this name, where the file has many slow ones. */
  only?: string;
}

/** All guards that `make guards` takes out, one after another. */
export const guards: Guard[] = [
  {
    name: "inbox-look-up",
    without: "an event that is delivered again has its effect again",
    file: "packages/kit/src/consumer.ts",
    find: "if (!fresh.has(event.id) || seen.has(event.id)) continue;",
    replace: "if (seen.has(event.id)) continue;",
    tests: ["packages/kit/src/consumer.test.ts"],
  },
  {
    name: "inbox-in-the-transaction",
    without: "an event whose handler failed is taken for handled",
    file: "packages/kit/src/consumer.ts",
    find: "return tx.one(receive, [",
    replace: "return db.one(receive, [",
    tests: ["packages/kit/src/consumer.test.ts"],
  },
  {
    name: "parked-key",
    without: "later events of a key overtake the one that is parked",
    file: "packages/kit/src/consumer.ts",
    find: "(parkedBehind.has(event.key) ? park : todo).push(event);",
    replace: "todo.push(event);",
    tests: ["packages/kit/src/parking.test.ts"],
  },
  {
    name: "outbox-transaction",
    without: "events are published of changes that were rolled back, or never",
    file: "packages/kit/src/database.ts",
    find: "const written = events.length > 0 ? insertIntoOutbox(tx, events, options.newId) : Promise.resolve();",
    replace:
      "const written = events.length > 0 ? insertIntoOutbox(queries(pool), events, options.newId) : Promise.resolve();",
    tests: ["packages/kit/src/database.test.ts", "packages/kit/src/relay.test.ts"],
  },
  {
    name: "commit-verdict",
    without: "a transaction that the database rolled back is answered as done",
    file: "packages/kit/src/database.ts",
    find: 'if (command !== "COMMIT")',
    replace: 'if (command === "")',
    tests: ["packages/kit/src/database.test.ts"],
  },
  {
    name: "outbox-floor",
    without: "an event whose transaction committed late is never published",
    file: "packages/kit/src/relay.ts",
    find: "const reached = mark && bounds.oldest >= mark.next ? mark.highest + 1 : undefined;",
    replace: "const reached = highest + 1;",
    tests: ["packages/kit/src/relay.test.ts"],
  },
  {
    name: "event-size",
    without: "an event is accepted that the log cannot take, and blocks all behind it",
    file: "packages/kit/src/outbox.ts",
    find: "if (bytes > maxEventBytes) {",
    replace: "if (bytes > Infinity) {",
    tests: ["packages/kit/src/relay.test.ts"],
  },
  {
    name: "idempotency-key",
    without: "a request that is sent again has its effect again",
    file: "packages/kit/migrations/001_messaging.sql",
    find: "  created_at   timestamptz NOT NULL DEFAULT now(),\n  PRIMARY KEY (principal, operation, key)",
    replace: "  created_at   timestamptz NOT NULL DEFAULT now()",
    tests: ["packages/kit/src/idempotency.test.ts"],
  },
  {
    name: "idempotency-request",
    without: "a key that is used for something else gets the answer to another question",
    file: "packages/kit/src/idempotency.ts",
    find: "if (storedHash !== hashOf(call))",
    replace: "if (storedHash === undefined)",
    tests: ["packages/kit/src/idempotency.test.ts"],
  },
  {
    name: "one-order-for-a-key",
    without: "two requests with one key at once place two orders",
    file: "services/orders/migrations/001_orders.sql",
    find: "  UNIQUE (placed_by, idempotency_key),",
    replace: "",
    tests: ["services/orders/test/orders.int.test.ts"],
    only: "used up for good",
  },
  {
    name: "reservation-condition",
    without: "more is sold than there is",
    file: "services/inventory/src/stock.ts",
    find: "if (line.quantity > available) short.push(",
    replace: "if (available < 0) short.push(",
    tests: ["services/inventory/src/stock.unit.test.ts"],
  },
  {
    name: "stock-lock",
    without: "two buyers at once are both promised the last unit",
    file: "services/inventory/src/store-stock.ts",
    find: "WHERE sku_id = ANY($1::uuid[]) ORDER BY sku_id, location_id FOR UPDATE`",
    replace: "WHERE sku_id = ANY($1::uuid[]) ORDER BY sku_id, location_id`",
    tests: ["services/inventory/test/stock.int.test.ts"],
    only: "races",
  },
  {
    name: "stock-sums",
    without: "a mistake anywhere else can reserve what is not there",
    file: "services/inventory/migrations/001_inventory.sql",
    find: "CONSTRAINT stock_sums CHECK (on_hand >= 0 AND reserved >= 0 AND reserved <= on_hand)",
    replace: "CONSTRAINT stock_sums CHECK (true)",
    tests: ["services/inventory/test/stock.int.test.ts"],
    only: "is refused by the database",
  },
  {
    name: "expiry-row-lock",
    without: "an order is confirmed and expired at once",
    file: "services/orders/src/store.ts",
    find: "`SELECT FROM orders WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`",
    replace: "`SELECT FROM orders WHERE id = ANY($1::uuid[]) ORDER BY id`",
    tests: ["services/orders/test/orders.int.test.ts"],
    only: "waits for the expiry",
  },
  {
    name: "ledger-balance",
    without: "money appears or vanishes in a posting",
    file: "services/payments/migrations/001_payments.sql",
    find: "GROUP BY currency HAVING sum(amount_minor) <> 0) THEN",
    replace: "GROUP BY currency HAVING false) THEN",
    tests: ["services/payments/test/payments.int.test.ts"],
    only: "does not balance",
  },
  {
    name: "ledger-append-only",
    without: "entries of the ledger can be changed afterwards",
    file: "services/payments/migrations/001_payments.sql",
    find: 'GRANT SELECT, INSERT ON ledger_transactions, ledger_entries, disputes, erased TO :"role";',
    replace:
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_transactions, ledger_entries, disputes, erased TO :"role";',
    tests: ["services/payments/test/payments.int.test.ts"],
    only: "role",
  },
  {
    name: "one-success",
    without: "an operation is booked twice when reply and callback race",
    file: "services/payments/src/transition.ts",
    find: "  if (isSettled(operation)) {",
    replace: "  if (false as boolean) {",
    tests: ["services/payments/src/transition.unit.test.ts"],
  },
  {
    name: "payment-row-lock",
    without: "reply and callback make two transitions",
    file: "services/payments/src/store.ts",
    find: "FROM payments WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`",
    replace: "FROM payments WHERE id = ANY($1::uuid[]) ORDER BY id`",
    tests: ["services/payments/test/payments.int.test.ts"],
    only: "while another outcome",
  },
  {
    name: "callback-signature",
    without: "anybody can tell that a payment succeeded",
    file: "services/payments/src/adapters/simulated-provider.ts",
    find: 'if (!timingSafeEqual(expected, Buffer.from(match[2] as string, "hex"))) return undefined;',
    replace: "void [timingSafeEqual, expected];",
    tests: ["services/payments/test/payments.int.test.ts"],
    only: "forged",
  },
  {
    name: "owner-of-a-row",
    without: "anybody sees what belongs to somebody else",
    file: "packages/kit/src/access.ts",
    find: "if (!viewer || owned[rule.owner] !== viewer.sub) return null;",
    replace: "if (!viewer) return null;",
    tests: ["services/orders/test/orders.int.test.ts", "packages/kit/src/access.unit.test.ts"],
    only: "stranger",
  },
  {
    name: "owner-of-a-mutation",
    without: "anybody changes what belongs to somebody else",
    file: "packages/kit/src/identity.ts",
    find: "if (sub !== customerId) throw notFound();",
    replace: "",
    tests: ["services/orders/test/orders.int.test.ts"],
    only: "stranger",
  },
  {
    name: "default-deny",
    without: "a field that nobody thought about is open to all",
    file: "packages/kit/src/access.ts",
    find: "else if (rootTypes.has(name)) missing.push(`${name}.${field.name.value}`);",
    replace: "",
    tests: ["packages/kit/src/access.unit.test.ts"],
  },
  {
    name: "read-model-version",
    without: "an old state replaces a newer one in a read model",
    file: "packages/kit/migrations/002_read_models.sql",
    find: "RAISE EXCEPTION '%.% shows version % and may not go back to %', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.version, NEW.version\n    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;",
    replace: "RETURN NEW;",
    tests: ["tools/audit/audit.int.test.ts"],
  },
  {
    name: "refresh-token-reuse",
    without: "a stolen refresh token works for as long as its owner does not notice",
    file: "services/users/src/commands-sessions.ts",
    find: "await endSession(tx, sessionId, user.id);\n        tx.emit(revoked(user, presented.now, sessionId));",
    replace: "",
    tests: ["services/users/test/sessions.int.test.ts"],
    only: "thief",
  },
];
