/** A violation of one invariant and of no other, planted in the world by a superuser with constraints off. */
export interface Violation {
  invariant: number;
  what: string;
  sql: string;
}

const completed = "(SELECT id FROM orders.orders WHERE number = 'W-1')";
const confirmed = "(SELECT id FROM orders.orders WHERE number = 'W-2')";
const cancelled = "(SELECT id FROM orders.orders WHERE number = 'W-3')";
const paid = `(SELECT id FROM payments.payments WHERE order_id = ${completed})`;
const capture = `(SELECT id FROM payments.ledger_transactions WHERE payment_id = ${paid} AND kind = 'CAPTURE' AND sequence = 1)`;
const oneStock = "(sku_id, location_id) = (SELECT sku_id, location_id FROM inventory.stock ORDER BY sku_id LIMIT 1)";
const anEvent = `('018f0000-0000-7000-8000-000000000001', 'orders.order-placed.v1', 'lost', 'lost', 1, now() - interval '1 hour', '{}')`;

/** Drops the CHECK constraints of a table: a superuser can switch off triggers and foreign keys, but not these. */
function uncheck(table: string): string {
  return `DO $$ DECLARE c name; BEGIN
    FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = '${table}'::regclass AND contype = 'c' LOOP
      EXECUTE format('ALTER TABLE ${table} DROP CONSTRAINT %I', c);
    END LOOP; END $$;`;
}

function dropUnique(table: string, constraint: string): string {
  return `ALTER TABLE ${table} DROP CONSTRAINT ${constraint};`;
}

const money: Violation[] = [
  {
    invariant: 1,
    what: "an entry without its counterpart",
    sql: `INSERT INTO payments.ledger_entries VALUES (${capture}, 9, 'SALES', 'GBP', -5)`,
  },
  {
    invariant: 1,
    what: "a transaction that balances in no currency",
    sql: `INSERT INTO payments.ledger_entries VALUES (${capture}, 8, 'SALES', 'GBP', -5), (${capture}, 9, 'REFUNDS', 'EUR', 5)`,
  },
  {
    invariant: 2,
    what: "less than nothing is held on a card",
    sql: `INSERT INTO payments.ledger_entries VALUES (${capture}, 8, 'OPEN_COMMITMENTS', 'GBP', 1), (${capture}, 9, 'CARD_HOLDS', 'GBP', -1)`,
  },
  {
    invariant: 3,
    what: "more authorised than the ledger says",
    sql: `${uncheck("payments.payments")} UPDATE payments.payments SET authorized_minor = authorized_minor + 1 WHERE id = ${paid}`,
  },
  {
    invariant: 3,
    what: "voided what the ledger does not know of",
    sql: `${uncheck("payments.payments")} UPDATE payments.payments SET voided_minor = voided_minor + 1 WHERE id = ${paid}`,
  },
  {
    invariant: 4,
    what: "another sum at the provider",
    sql: `UPDATE provider.operations SET amount_minor = amount_minor + 1 WHERE idempotency_key = ${paid} || ':CAPTURE:1:1'`,
  },
  {
    invariant: 4,
    what: "the provider does not know of a capture",
    sql: `SET LOCAL session_replication_role = replica; DELETE FROM provider.operations WHERE idempotency_key = ${paid} || ':CAPTURE:1:1'`,
  },
  {
    invariant: 4,
    what: "the provider refused what we believe it did",
    sql: `UPDATE provider.operations SET status = 'FAILED' WHERE idempotency_key = ${paid} || ':REFUND:1:1'`,
  },
  {
    invariant: 4,
    what: "the provider moved money that we do not know of",
    sql: `INSERT INTO provider.operations (idempotency_key, authorization_id, kind, status, amount_minor, request, settled_at)
          VALUES (${paid} || ':REFUND:2:1', 'auth_1', 'REFUND', 'SUCCEEDED', 5, '', now() - interval '1 hour')`,
  },
  {
    invariant: 4,
    what: "the ledger has what no operation did",
    sql: `UPDATE payments.operations SET status = 'FAILED' WHERE payment_id = ${paid} AND kind = 'CAPTURE' AND sequence = 1`,
  },
  {
    invariant: 4,
    what: "another order paid at the provider",
    sql: `UPDATE provider.authorizations SET reference = 'another' WHERE id = 'auth_2'`,
  },
  {
    invariant: 5,
    what: "two attempts of one void succeeded",
    sql: `DROP INDEX payments.operations_one_success;
          INSERT INTO payments.operations (payment_id, kind, sequence, attempt, amount_minor, status)
          VALUES (${paid}, 'VOID', 1, 1, 0, 'SUCCEEDED'), (${paid}, 'VOID', 1, 2, 0, 'SUCCEEDED')`,
  },
  {
    invariant: 7,
    what: "money captured for a cancelled order",
    sql: `UPDATE orders.orders SET status = 'CANCELLED' WHERE id = ${completed}`,
  },
  {
    invariant: 7,
    what: "money captured for no order",
    sql: `INSERT INTO payments.payments SELECT * FROM jsonb_populate_record(NULL::payments.payments,
            (SELECT to_jsonb(p) || jsonb_build_object('id', gen_random_uuid(), 'order_id', '018f0000-0000-7000-8000-000000000002') FROM payments.payments p WHERE id = ${paid}));
          UPDATE payments.payments SET version = 0 WHERE order_id = '018f0000-0000-7000-8000-000000000002';
          CREATE TEMP TABLE copied ON COMMIT DROP AS
            SELECT t.id AS old_id, gen_random_uuid() AS id, t.kind, t.sequence FROM payments.ledger_transactions t WHERE payment_id = ${paid};
          INSERT INTO payments.ledger_transactions (id, payment_id, kind, sequence, posted_at)
            SELECT c.id, p.id, kind, sequence, now() - interval '1 hour' FROM copied c, payments.payments p WHERE order_id = '018f0000-0000-7000-8000-000000000002';
          INSERT INTO payments.ledger_entries SELECT c.id, e.line, e.account, e.currency, e.amount_minor
            FROM copied c JOIN payments.ledger_entries e ON e.transaction_id = c.old_id;
          INSERT INTO payments.operations (payment_id, kind, sequence, amount_minor, status)
            SELECT p.id, o.kind, o.sequence, o.amount_minor, 'SUCCEEDED' FROM payments.operations o, payments.payments p
            WHERE o.payment_id = ${paid} AND p.order_id = '018f0000-0000-7000-8000-000000000002';
          INSERT INTO provider.authorizations SELECT * FROM jsonb_populate_record(NULL::provider.authorizations,
            (SELECT to_jsonb(a) || '{"id":"auth_lost","reference":"018f0000-0000-7000-8000-000000000002"}' FROM provider.authorizations a WHERE id = 'auth_1'));
          INSERT INTO provider.operations (idempotency_key, authorization_id, kind, status, amount_minor, request)
            SELECT concat_ws(':', o.payment_id, o.kind, o.sequence, 1), 'auth_lost', o.kind, 'SUCCEEDED', o.amount_minor, ''
            FROM payments.operations o JOIN payments.payments p ON p.id = o.payment_id WHERE p.order_id = '018f0000-0000-7000-8000-000000000002'`,
  },
];

const stock: Violation[] = [
  {
    invariant: 8,
    what: "more reserved than there is",
    sql: `${uncheck("inventory.stock")}
          INSERT INTO inventory.movements (id, sku_id, location_id, quantity, reason)
            SELECT gen_random_uuid(), sku_id, location_id, reserved - 1 - on_hand, 'LOSS' FROM inventory.stock WHERE ${oneStock};
          UPDATE inventory.stock SET on_hand = reserved - 1 WHERE ${oneStock}`,
  },
  {
    invariant: 9,
    what: "stock that never moved",
    sql: `UPDATE inventory.stock SET on_hand = on_hand + 1 WHERE ${oneStock}`,
  },
  {
    invariant: 9,
    what: "movements of stock that is nowhere",
    sql: `INSERT INTO inventory.movements (id, sku_id, location_id, quantity, reason)
          SELECT gen_random_uuid(), sku_id, gen_random_uuid(), 3, 'RECEIPT' FROM inventory.stock WHERE ${oneStock}`,
  },
  {
    invariant: 10,
    what: "units reserved for nobody",
    sql: `UPDATE inventory.stock SET reserved = reserved + 1 WHERE ${oneStock}`,
  },
  {
    invariant: 11,
    what: "a unit held for a cancelled order",
    sql: `UPDATE inventory.reservations SET released = released - 1 WHERE order_id = ${cancelled};
          UPDATE inventory.stock s SET reserved = reserved + 1 FROM inventory.reservations r
          WHERE r.order_id = ${cancelled} AND (s.sku_id, s.location_id) = (r.sku_id, r.location_id)`,
  },
  {
    invariant: 11,
    what: "a unit consumed and released",
    sql: `${uncheck("inventory.reservations")} ${uncheck("orders.order_lines")}
          UPDATE inventory.reservations SET released = released + 1 WHERE order_id = ${completed};
          UPDATE orders.order_lines SET cancelled = cancelled + 1 WHERE order_id = ${completed} AND NOT digital;
          UPDATE inventory.reservations SET quantity = quantity + 1
            WHERE (order_id, line_id) = (SELECT r.order_id, r.line_id FROM inventory.reservations r JOIN orders.orders o ON o.id = r.order_id
              WHERE o.status = 'CONFIRMED' AND r.sku_id = (SELECT sku_id FROM inventory.reservations WHERE order_id = ${completed}) LIMIT 1)`,
  },
];

const orders: Violation[] = [
  {
    invariant: 6,
    what: "more due than authorised",
    sql: `UPDATE orders.orders SET due_minor = due_minor + 1 WHERE id = ${confirmed}`,
  },
  {
    invariant: 6,
    what: "a physical line that nothing is reserved for",
    sql: `UPDATE orders.order_lines SET digital = false WHERE order_id = ${confirmed}`,
  },
  {
    invariant: 12,
    what: "a total that is not that of its lines",
    sql: `${uncheck("orders.orders")} UPDATE orders.orders SET total_minor = total_minor + 1 WHERE id = ${confirmed}`,
  },
  {
    invariant: 12,
    what: "a line with another price",
    sql: `${uncheck("orders.order_lines")} UPDATE orders.order_lines SET unit_minor = unit_minor + 1 WHERE order_id = ${confirmed}`,
  },
  {
    invariant: 13,
    what: "more came back than had left",
    sql: `${uncheck("orders.order_lines")} UPDATE orders.order_lines SET returned = shipped + 1 WHERE order_id = ${completed} AND NOT digital`,
  },
  {
    invariant: 13,
    what: "more credited than taken back",
    sql: `UPDATE orders.order_lines SET returned = 2 WHERE order_id = ${completed} AND NOT digital`,
  },
  {
    invariant: 13,
    what: "more paid back than was paid",
    sql: `${uncheck("orders.order_lines")} UPDATE orders.order_lines SET refunded_minor = paid_minor + 1 WHERE order_id = ${completed} AND NOT digital`,
  },
  {
    invariant: 19,
    what: "an order that waits for a payment after its deadline",
    sql: `UPDATE orders.orders SET status = 'AWAITING_PAYMENT', deadline_at = now() - interval '1 hour' WHERE id = ${confirmed}`,
  },
  {
    invariant: 19,
    what: "a cancelled order whose void never came back",
    sql: `UPDATE orders.orders SET awaits_void = true WHERE id = ${cancelled}`,
  },
  {
    invariant: 20,
    what: "two orders for one key",
    sql: `${dropUnique("orders.orders", "orders_placed_by_idempotency_key_key")}
          UPDATE orders.orders SET idempotency_key = (SELECT idempotency_key FROM orders.orders WHERE id = ${completed}) WHERE id = ${confirmed}`,
  },
  {
    invariant: 20,
    what: "a key whose answer is no order",
    sql: `UPDATE orders.idempotency SET result = json_build_object('orderId', gen_random_uuid()) WHERE result->>'orderId' = ${confirmed}::text`,
  },
  {
    invariant: 20,
    what: "two results for one key",
    sql: `${dropUnique("payments.idempotency", "idempotency_pkey")}
          INSERT INTO payments.idempotency (principal, operation, key, request_hash, result)
          SELECT 'somebody', 'retry', '018f0000-0000-7000-8000-000000000003', '', to_json(n) FROM generate_series(1, 2) AS n`,
  },
];

const effects: Violation[] = [
  {
    what: "an order confirmed twice",
    sql: `INSERT INTO orders.timeline (order_id, what) VALUES (${confirmed}, 'CONFIRMED')`,
  },
  {
    what: "a parcel taken out of stock twice",
    sql: `${dropUnique("inventory.movements", "movements_reason_reference_line_id_location_id_key")}
          INSERT INTO inventory.movements SELECT gen_random_uuid(), sku_id, location_id, quantity, reason, reference, line_id
            FROM inventory.movements WHERE reason = 'SALE' AND line_id IN (SELECT id FROM orders.order_lines WHERE order_id = ${completed});
          UPDATE inventory.stock s SET on_hand = on_hand - 2 FROM inventory.reservations r
            WHERE r.order_id = ${completed} AND (s.sku_id, s.location_id) = (r.sku_id, r.location_id)`,
  },
  {
    what: "a unit released that nobody cancelled",
    sql: `UPDATE orders.order_lines SET cancelled = 1 WHERE order_id = ${cancelled} AND NOT digital`,
  },
  {
    what: "a unit put back twice",
    sql: `INSERT INTO inventory.movements SELECT gen_random_uuid(), sku_id, gen_random_uuid(), quantity, reason, reference, line_id
            FROM inventory.movements WHERE reason = 'RETURN' LIMIT 1;
          INSERT INTO inventory.locations SELECT location_id, 'OTHER', 'Other' FROM inventory.movements m
            WHERE NOT EXISTS (SELECT FROM inventory.locations l WHERE l.id = m.location_id);
          INSERT INTO inventory.stock SELECT sku_id, location_id, quantity, 0 FROM inventory.movements m
            WHERE NOT EXISTS (SELECT FROM inventory.stock s WHERE (s.sku_id, s.location_id) = (m.sku_id, m.location_id))`,
  },
  {
    what: "a capture instructed twice",
    sql: `UPDATE payments.payments SET instructed_minor = instructed_minor + 1 WHERE id = ${paid}`,
  },
  {
    what: "a capture counted twice",
    sql: `UPDATE orders.orders SET captured_minor = captured_minor + 600 WHERE id = ${completed}`,
  },
  {
    what: "a refund counted twice",
    sql: `UPDATE orders.orders SET refunded_minor = refunded_minor + 1200 WHERE id = ${completed}`,
  },
  {
    what: "a line packed twice",
    sql: `UPDATE fulfillment.shipment_lines SET quantity = quantity + 2
          WHERE line_id IN (SELECT id FROM orders.order_lines WHERE order_id = ${confirmed})`,
  },
  {
    what: "a delivery counted twice",
    sql: `${uncheck("exchanges.order_lines")} UPDATE exchanges.order_lines SET delivered = delivered + 2 WHERE order_id = ${completed}`,
  },
].map((violation) => ({ invariant: 16, ...violation }));

const messages: Violation[] = [
  {
    invariant: 14,
    what: "an event that stays in an outbox",
    sql: `INSERT INTO orders.outbox (event_id, type, key, subject, sequence, time, data) VALUES ${anEvent}`,
  },
  {
    invariant: 18,
    what: "a read model without its guard",
    sql: `ALTER TABLE frontend.availabilities DISABLE TRIGGER never_older`,
  },
  {
    invariant: 21,
    what: "a parked event that nobody is told of",
    sql: `INSERT INTO fulfillment.parked (event_id, key, event, reason) VALUES (gen_random_uuid(), 'a', '{}', 'poison');
          INSERT INTO fulfillment.incidents (id, kind, subject, detail, resolved_at) VALUES (gen_random_uuid(), 'EVENT_PARKED', 'a', '', now())`,
  },
  {
    invariant: 23,
    what: "a ledger that can be rewritten",
    sql: `GRANT UPDATE (amount_minor) ON payments.ledger_entries TO payments`,
  },
  { invariant: 23, what: "movements that can be removed", sql: `GRANT DELETE ON inventory.movements TO inventory` },
];

/** At least one for each invariant that the audit checks by a query; log-plants.ts has those that are read from the log. */
export const violations: Violation[] = [...money, ...stock, ...orders, ...effects, ...messages];
