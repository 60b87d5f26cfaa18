/** What the database refuses to the role that runs the service. */
export interface Refusal {
  invariant: number;
  what: string;
  role: string;
  sql: string;
  /** SQLSTATE. */
  code: string;
  constraint?: string;
}

const checkViolation = "23514";
const uniqueViolation = "23505";
const insufficientPrivilege = "42501";

const guarded = [
  { role: "orders", table: "orders.catalogue_products" },
  { role: "frontend", table: "frontend.products" },
  { role: "frontend", table: "frontend.availabilities" },
  { role: "frontend", table: "frontend.consents" },
];

const onlyAdded = [
  { role: "payments", table: "payments.ledger_transactions", column: "posted_at" },
  { role: "payments", table: "payments.ledger_entries", column: "amount_minor" },
  { role: "inventory", table: "inventory.movements", column: "quantity" },
];

/** At least one for each invariant that a constraint holds. */
export const refusals: Refusal[] = [
  {
    invariant: 1,
    what: "an entry without its counterpart, at the end of the transaction",
    role: "payments",
    sql: `INSERT INTO payments.ledger_entries SELECT id, 9, 'SALES', 'GBP', -5 FROM payments.ledger_transactions LIMIT 1; SET CONSTRAINTS ALL IMMEDIATE`,
    code: checkViolation,
    constraint: "ledger_balances",
  },
  ...["refunded_minor = captured_minor + 1", "refunded_minor = -1", "captured_minor = authorized_minor + 1"].map(
    (change) => ({
      invariant: 3,
      what: change,
      role: "payments",
      sql: `UPDATE payments.payments SET ${change}`,
      code: checkViolation,
    }),
  ),
  {
    invariant: 5,
    what: "a second success of one operation",
    role: "payments",
    sql: `INSERT INTO payments.operations (payment_id, kind, sequence, attempt, amount_minor, status)
          SELECT payment_id, kind, sequence, 2, amount_minor, 'SUCCEEDED' FROM payments.operations LIMIT 1`,
    code: uniqueViolation,
    constraint: "operations_one_success",
  },
  ...["on_hand = -1", "reserved = -1", "reserved = on_hand + 1"].map((change) => ({
    invariant: 8,
    what: change,
    role: "inventory",
    sql: `UPDATE inventory.stock SET ${change}`,
    code: checkViolation,
    constraint: "stock_sums",
  })),
  {
    invariant: 11,
    what: "a unit consumed and released",
    role: "inventory",
    sql: `UPDATE inventory.reservations SET released = quantity - consumed + 1`,
    code: checkViolation,
    constraint: "reservations_once",
  },
  {
    invariant: 12,
    what: "a total that is not its parts",
    role: "orders",
    sql: `UPDATE orders.orders SET total_minor = total_minor + 1`,
    code: checkViolation,
  },
  {
    invariant: 12,
    what: "a line that is not worth its units",
    role: "orders",
    sql: `UPDATE orders.order_lines SET unit_minor = unit_minor + 1`,
    code: checkViolation,
  },
  ...["returned = shipped + 1", "refunded_minor = paid_minor + 1"].map((change) => ({
    invariant: 13,
    what: change,
    role: "orders",
    sql: `UPDATE orders.order_lines SET ${change}`,
    code: checkViolation,
  })),
  {
    invariant: 13,
    what: "more taken back than was delivered",
    role: "exchanges",
    sql: `UPDATE exchanges.order_lines SET returned = delivered + 1`,
    code: checkViolation,
  },
  {
    invariant: 16,
    what: "an event that is in the inbox",
    role: "orders",
    sql: `INSERT INTO orders.inbox SELECT event_id FROM orders.inbox LIMIT 1`,
    code: uniqueViolation,
  },
  {
    invariant: 16,
    what: "a parcel taken out of stock again",
    role: "inventory",
    sql: `INSERT INTO inventory.movements SELECT gen_random_uuid(), sku_id, location_id, quantity, reason, reference, line_id
          FROM inventory.movements WHERE reason = 'SALE' LIMIT 1`,
    code: uniqueViolation,
  },
  ...guarded.map(({ role, table }) => ({
    invariant: 18,
    what: `an older version in ${table}`,
    role,
    sql: `UPDATE ${table} SET version = version - 1`,
    code: checkViolation,
    constraint: "never_older",
  })),
  {
    invariant: 20,
    what: "a second order for one key",
    role: "orders",
    sql: `UPDATE orders.orders SET idempotency_key = (SELECT min(idempotency_key::text)::uuid FROM orders.orders)`,
    code: uniqueViolation,
  },
  {
    invariant: 20,
    what: "a second result for one key",
    role: "orders",
    sql: `INSERT INTO orders.idempotency SELECT * FROM orders.idempotency LIMIT 1`,
    code: uniqueViolation,
  },
  ...onlyAdded.flatMap(({ role, table, column }) =>
    [`UPDATE ${table} SET ${column} = ${column}`, `DELETE FROM ${table}`, `TRUNCATE ${table}`].map((sql) => ({
      invariant: 23,
      what: sql,
      role,
      sql,
      code: insufficientPrivilege,
    })),
  ),
];
