import { migrate } from "@crowdcrunch/kit/migrate";
import type { Logger } from "@crowdcrunch/kit/logger";
import type { Client } from "pg";
import { repositoryRoot } from "../../schemas.ts";
import { pathToFileURL } from "node:url";
import { handledTypes } from "@crowdcrunch/auditor/handled";
import { serviceNames as services } from "@crowdcrunch/shop/parts";

/** Migrates every service and the provider, as each does when it starts. `urlOf` gives the database as a role. */
export async function migrateAll(urlOf: (role: string) => string, log: Logger): Promise<void> {
  for (const service of [...services, "provider"]) {
    const folder = service === "provider" ? "provider/migrations/" : `services/${service}/migrations/`;
    await migrate({
      service,
      ownerUrl: urlOf(`${service}_owner`),
      folder: new URL(folder, pathToFileURL(`${repositoryRoot}/`)),
      log,
      messaging: service !== "provider",
    });
  }
}

/**
 * Fills an empty shop, as superuser, as if `orders` orders had run their course; the n-th is "W-<n>":
 *
 * - n % 4 = 1: COMPLETED; one of its two units came back and was refunded
 * - n % 4 = 2: CONFIRMED, nothing sent yet
 * - n % 4 = 3: CANCELLED once its payment was authorised
 * - n % 4 = 0: REJECTED for want of stock
 *
 * Each has 2 × 1200 of something physical and 1 × 600 of a download, both with 20 % tax in the price, and 395 shipping.
 */
export async function insertWorld(
  client: Client,
  { orders, products }: { orders: number; products: number },
): Promise<void> {
  const statements = [identifiers, numbers(orders, products), catalogue, order, stock, money, sending, returning, log];
  await client.query(["BEGIN", ...statements, ...received(), "COMMIT"].join(";\n"));
}

// Ids follow from a name and a number; they begin with the time, as all of this shop do.
const identifiers = `
  CREATE FUNCTION pg_temp.id(name text, n bigint) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '7' || left(md5(name || n), 3)
            || '8' || substr(md5(name || n), 4, 15))::uuid $$`;

const numbers = (orders: number, products: number) => `
  CREATE TEMP TABLE placed ON COMMIT DROP AS
    SELECT n, pg_temp.id('order', n) AS id, 'W-' || n AS number, pg_temp.id('customer', 0) AS customer_id,
           pg_temp.id('payment', n) AS payment_id, pg_temp.id('goods', n) AS goods_id, pg_temp.id('file', n) AS file_id,
           pg_temp.id('shipment', n) AS shipment_id, pg_temp.id('delivery', n) AS delivery_id,
           pg_temp.id('return', n) AS return_id, pg_temp.id('refund', n) AS refund_id, n % ${products} AS product,
           (ARRAY['REJECTED', 'COMPLETED', 'CONFIRMED', 'CANCELLED'])[n % 4 + 1] AS status
    FROM generate_series(1, ${orders}) AS n;
  CREATE INDEX ON placed (status);
  ANALYZE placed;
  CREATE TEMP TABLE catalogue ON COMMIT DROP AS
    SELECT n, pg_temp.id('product', n) AS id, pg_temp.id('sku', n) AS sku_id, pg_temp.id('download', n) AS file_sku_id
    FROM generate_series(0, ${products - 1}) AS n`;

const catalogue = `
  INSERT INTO users.users (id, email, roles, version) SELECT pg_temp.id('customer', 0), 'sam@example.com', '{SHOPPER}', 1;
  INSERT INTO customers.customers (id, email, version) SELECT pg_temp.id('customer', 0), 'sam@example.com', 1;
  INSERT INTO frontend.consents SELECT pg_temp.id('customer', 0), 'RECOMMENDATIONS', true, 1;
  INSERT INTO inventory.locations SELECT pg_temp.id('location', 0), 'MAIN', 'Main warehouse';
  INSERT INTO inventory.products (id, slug, name, description, tax_class, published, version)
    SELECT id, 'product-' || n, 'Product ' || n, '', 'standard', true, 1 FROM catalogue;
  INSERT INTO inventory.skus (id, product_id, position, code, options, digital, weight_grams, availability, availability_version)
    SELECT sku_id, id, 0, 'GOODS-' || n, '[]'::json, false, 100, 'IN_STOCK', 1 FROM catalogue
    UNION ALL SELECT file_sku_id, id, 1, 'FILE-' || n, '[]'::json, true, 0, 'OUT_OF_STOCK', 0 FROM catalogue;
  INSERT INTO orders.catalogue_products SELECT id, 1 FROM catalogue;
  INSERT INTO frontend.products (product_id, version, published, slug, name, description, categories)
    SELECT id, 1, true, 'product-' || n, 'Product ' || n, '', '[]' FROM catalogue;
  INSERT INTO frontend.availabilities SELECT sku_id, 1, 'IN_STOCK' FROM catalogue`;

const order = `
  INSERT INTO orders.orders (id, number, kind, status, customer_id, version, currency, items_minor, tax_minor, shipping_minor,
      discount_minor, total_minor, shipping_method, placed_by, idempotency_key, stock_reserved, payment_id, payment_state,
      payment_attempt, due_minor, capture_sequence, capture_asked_minor, captured_minor, refunded_minor)
    SELECT id, number, 'SALE', status, customer_id, CASE status WHEN 'COMPLETED' THEN 10 WHEN 'REJECTED' THEN 2 ELSE 3 END, 'GBP',
      2500, 500, 395, 0, 3395, 'standard', customer_id, pg_temp.id('key', n), status <> 'REJECTED',
      CASE WHEN status <> 'REJECTED' THEN payment_id END,
      CASE status WHEN 'REJECTED' THEN 'NONE' WHEN 'CANCELLED' THEN 'VOIDED' ELSE 'AUTHORIZED' END,
      CASE WHEN status = 'REJECTED' THEN 0 ELSE 1 END, 3395,
      CASE WHEN status = 'COMPLETED' THEN 2 ELSE 0 END, CASE WHEN status = 'COMPLETED' THEN 3395 ELSE 0 END,
      CASE WHEN status = 'COMPLETED' THEN 3395 ELSE 0 END, CASE WHEN status = 'COMPLETED' THEN 1200 ELSE 0 END
    FROM placed;
  INSERT INTO orders.order_lines (id, order_id, position, sku_id, product_id, name, quantity, unit_minor, tax_minor, discount_minor,
      paid_minor, digital, price_version, shipped, delivered, cancelled, returned, refunded_minor)
    SELECT goods_id, p.id, 0, c.sku_id, c.id, 'Goods', 2, 1200, 400, 0, 2400, false, 1, 2 * done, 2 * done, 2 * gone, done, 1200 * done
    FROM placed p JOIN catalogue c ON c.n = p.product,
         LATERAL (SELECT (status = 'COMPLETED')::int AS done, (status = 'CANCELLED')::int AS gone) AS s
    UNION ALL
    SELECT file_id, p.id, 1, c.file_sku_id, c.id, 'File', 1, 600, 100, 0, 600, true, 1, done, done, gone, 0, 0
    FROM placed p JOIN catalogue c ON c.n = p.product,
         LATERAL (SELECT (status = 'COMPLETED')::int AS done, (status = 'CANCELLED')::int AS gone) AS s;
  INSERT INTO orders.timeline (order_id, what)
    SELECT id, unnest(CASE status
      WHEN 'COMPLETED' THEN ARRAY['PLACED', 'STOCK_RESERVED', 'PAYMENT_REQUESTED', 'CONFIRMED', 'COMPLETED', 'REFUNDED']
      WHEN 'CONFIRMED' THEN ARRAY['PLACED', 'STOCK_RESERVED', 'PAYMENT_REQUESTED', 'CONFIRMED']
      WHEN 'CANCELLED' THEN ARRAY['PLACED', 'STOCK_RESERVED', 'PAYMENT_REQUESTED', 'CANCELLED']
      ELSE ARRAY['PLACED', 'REJECTED'] END)
    FROM placed;
  INSERT INTO orders.refunds (id, order_id, payment_id, return_id, reason, amount_minor, lines, status)
    SELECT refund_id, id, payment_id, return_id, 'RETURN', 1200, '[]', 'SETTLED' FROM placed WHERE status = 'COMPLETED';
  INSERT INTO orders.idempotency (principal, operation, key, request_hash, result)
    SELECT customer_id, 'placeOrder', pg_temp.id('key', n), '', json_build_object('orderId', id) FROM placed`;

const stock = `
  INSERT INTO inventory.order_stock (order_id, customer_id, state, version)
    SELECT id, customer_id, CASE WHEN status = 'REJECTED' THEN 'REJECTED' ELSE 'RESERVED' END,
           CASE WHEN status = 'CANCELLED' THEN 2 ELSE 1 END FROM placed;
  INSERT INTO inventory.reservations (order_id, line_id, sku_id, location_id, quantity, consumed, released)
    SELECT p.id, goods_id, c.sku_id, pg_temp.id('location', 0), 2, 2 * (status = 'COMPLETED')::int, 2 * (status = 'CANCELLED')::int
    FROM placed p JOIN catalogue c ON c.n = p.product WHERE status <> 'REJECTED';
  INSERT INTO inventory.movements (id, sku_id, location_id, quantity, reason, reference, line_id)
    SELECT pg_temp.id('opening', n), sku_id, pg_temp.id('location', 0), 1000000, 'OPENING', NULL, NULL::uuid FROM catalogue
    UNION ALL
    SELECT pg_temp.id('sale', p.n), c.sku_id, pg_temp.id('location', 0), -2, 'SALE', shipment_id::text, goods_id
    FROM placed p JOIN catalogue c ON c.n = p.product WHERE status = 'COMPLETED'
    UNION ALL
    SELECT pg_temp.id('restock', p.n), c.sku_id, pg_temp.id('location', 0), 1, 'RETURN', return_id::text, goods_id
    FROM placed p JOIN catalogue c ON c.n = p.product WHERE status = 'COMPLETED';
  INSERT INTO inventory.returned SELECT return_id, goods_id, 'RESTOCK', 1 FROM placed WHERE status = 'COMPLETED';
  INSERT INTO inventory.stock
    SELECT m.sku_id, m.location_id, sum(m.quantity), (
      SELECT coalesce(sum(r.quantity - r.consumed - r.released), 0) FROM inventory.reservations r WHERE r.sku_id = m.sku_id)
    FROM inventory.movements m GROUP BY m.sku_id, m.location_id`;

// What was asked of the provider, with the entries of each kind.
const money = `
  CREATE TEMP TABLE asked ON COMMIT DROP AS
    SELECT p.n, p.id AS order_id, p.payment_id, p.refund_id, o.kind, o.sequence, o.amount_minor, pg_temp.id('ledger' || kind || sequence, n) AS transaction_id
    FROM placed p JOIN (VALUES ('AUTHORIZE', 1, 3395, NULL), ('CAPTURE', 1, 600, 'COMPLETED'), ('CAPTURE', 2, 2795, 'COMPLETED'),
                               ('REFUND', 1, 1200, 'COMPLETED'), ('VOID', 1, 3395, 'CANCELLED')) AS o(kind, sequence, amount_minor, only_if)
      ON coalesce(o.only_if, p.status) = p.status
    WHERE p.status <> 'REJECTED';
  INSERT INTO payments.payments (id, order_id, order_number, customer_id, currency, status, amount_minor, authorized_minor,
      captured_minor, voided_minor, refunded_minor, instructed_minor, capturable_minor, refunds, version)
    SELECT payment_id, id, number, customer_id, 'GBP', CASE WHEN status = 'CANCELLED' THEN 'VOIDED' ELSE 'AUTHORIZED' END, 3395, 3395,
      3395 * done, 3395 * (status = 'CANCELLED')::int, 1200 * done, 3395 * done, 3395, done,
      CASE status WHEN 'COMPLETED' THEN 3 WHEN 'CANCELLED' THEN 2 ELSE 1 END
    FROM placed, LATERAL (SELECT (status = 'COMPLETED')::int AS done) AS s WHERE status <> 'REJECTED';
  INSERT INTO payments.refunds (id, payment_id, order_id, customer_id, amount_minor, currency, reason, status, version)
    SELECT refund_id, payment_id, id, customer_id, 1200, 'GBP', 'RETURN', 'SETTLED', 1 FROM placed WHERE status = 'COMPLETED';
  INSERT INTO payments.operations (payment_id, kind, sequence, amount_minor, refund_id, status, settled_at)
    SELECT payment_id, kind, sequence, amount_minor, CASE WHEN kind = 'REFUND' THEN refund_id END, 'SUCCEEDED', now() FROM asked;
  INSERT INTO payments.ledger_transactions (id, payment_id, kind, sequence) SELECT transaction_id, payment_id, kind, sequence FROM asked;
  INSERT INTO payments.ledger_entries (transaction_id, line, account, currency, amount_minor)
    SELECT transaction_id, e.line, e.account, 'GBP', e.sign * amount_minor
    FROM asked JOIN (VALUES
      ('AUTHORIZE', 1, 'CARD_HOLDS', 1), ('AUTHORIZE', 2, 'OPEN_COMMITMENTS', -1),
      ('CAPTURE', 1, 'PROVIDER_RECEIVABLE', 1), ('CAPTURE', 2, 'SALES', -1),
      ('CAPTURE', 3, 'OPEN_COMMITMENTS', 1), ('CAPTURE', 4, 'CARD_HOLDS', -1),
      ('VOID', 1, 'OPEN_COMMITMENTS', 1), ('VOID', 2, 'CARD_HOLDS', -1),
      ('REFUND', 1, 'REFUNDS', 1), ('REFUND', 2, 'PROVIDER_RECEIVABLE', -1)) AS e(kind, line, account, sign) USING (kind);
  INSERT INTO provider.authorizations (id, reference, currency, amount_minor, held, captured_minor, voided_minor, refunded_minor, behaviour, brand, last4)
    SELECT 'auth_' || n, id::text, 'GBP', 3395, true, 3395 * done, 3395 * (status = 'CANCELLED')::int, 1200 * done, 'ok', 'visa', '4242'
    FROM placed, LATERAL (SELECT (status = 'COMPLETED')::int AS done) AS s WHERE status <> 'REJECTED';
  INSERT INTO provider.operations (idempotency_key, authorization_id, kind, status, amount_minor, request, settled_at)
    SELECT concat_ws(':', payment_id, kind, sequence, 1), 'auth_' || n, kind, 'SUCCEEDED', amount_minor, '', now() FROM asked`;

const sending = `
  INSERT INTO fulfillment.fulfillments (order_id, customer_id, order_number, version)
    SELECT id, customer_id, number, CASE status WHEN 'COMPLETED' THEN 4 ELSE 1 END FROM placed WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO fulfillment.shipments (id, order_id, tracking_code, status, shipping_method, dispatched_at, delivered_at)
    SELECT shipment_id, id, 'T-' || n, CASE status WHEN 'COMPLETED' THEN 'DELIVERED' ELSE 'TO_PACK' END, 'standard',
      CASE status WHEN 'COMPLETED' THEN now() END, CASE status WHEN 'COMPLETED' THEN now() END
    FROM placed WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO fulfillment.shipment_lines (shipment_id, line_id, sku_id, name, quantity)
    SELECT shipment_id, goods_id, c.sku_id, 'Goods', 2 FROM placed p JOIN catalogue c ON c.n = p.product
    WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO fulfillment.digital_deliveries (id, order_id, status, sent_at)
    SELECT delivery_id, id, CASE status WHEN 'COMPLETED' THEN 'SENT' ELSE 'TO_SEND' END, CASE status WHEN 'COMPLETED' THEN now() END
    FROM placed WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO fulfillment.downloads (id, delivery_id, line_id, sku_id, name, quantity, licence_key, downloads_left)
    SELECT file_id, delivery_id, file_id, c.file_sku_id, 'File', 1, '', 5 FROM placed p JOIN catalogue c ON c.n = p.product
    WHERE status IN ('COMPLETED', 'CONFIRMED')`;

const returning = `
  INSERT INTO exchanges.orders SELECT id, customer_id, number, 'GBP' FROM placed WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO exchanges.order_lines (line_id, order_id, sku_id, name, quantity, paid_minor, delivered, returned)
    SELECT goods_id, p.id, c.sku_id, 'Goods', 2, 2400, 2 * (status = 'COMPLETED')::int, (status = 'COMPLETED')::int
    FROM placed p JOIN catalogue c ON c.n = p.product WHERE status IN ('COMPLETED', 'CONFIRMED');
  INSERT INTO exchanges.returns (id, number, order_id, status, version, reason, credit_minor, refunded_minor, requested_at, settled_at)
    SELECT return_id, 'R-' || n, id, 'SETTLED', 5, 'OTHER', 1200, 1200, now(), now() FROM placed WHERE status = 'COMPLETED';
  INSERT INTO exchanges.return_lines (return_id, line_id, quantity, received, restocked)
    SELECT return_id, goods_id, 1, 1, 1 FROM placed WHERE status = 'COMPLETED'`;

// Events in the order of the lists, so that their place is their version.
const log = `
  CREATE TEMP TABLE told ON COMMIT DROP AS
    SELECT p.id::text AS key, (CASE t.subject WHEN 'payment' THEN payment_id WHEN 'refund' THEN refund_id WHEN 'return' THEN return_id ELSE p.id END)::text AS subject,
           t.topic, e.name, e.sequence, '{}' AS data
    FROM placed p JOIN (VALUES
      ('COMPLETED', 'orders', 'order', ARRAY['order-placed', 'payment-requested', 'order-confirmed', 'order-shipped', 'order-delivered',
         'order-shipped', 'order-delivered', 'order-completed', 'refund-requested', 'order-refunded']),
      ('COMPLETED', 'inventory', 'order', ARRAY['stock-reserved']),
      ('COMPLETED', 'payments', 'payment', ARRAY['payment-authorized', 'payment-captured', 'payment-captured']),
      ('COMPLETED', 'payments', 'refund', ARRAY['refund-settled']),
      ('COMPLETED', 'fulfillment', 'order', ARRAY['shipment-created', 'digital-delivery-sent', 'shipment-dispatched', 'shipment-delivered']),
      ('COMPLETED', 'exchanges', 'return', ARRAY['return-requested', 'return-approved', 'return-received', 'return-inspected', 'return-settled']),
      ('CONFIRMED', 'orders', 'order', ARRAY['order-placed', 'payment-requested', 'order-confirmed']),
      ('CONFIRMED', 'inventory', 'order', ARRAY['stock-reserved']),
      ('CONFIRMED', 'payments', 'payment', ARRAY['payment-authorized']),
      ('CONFIRMED', 'fulfillment', 'order', ARRAY['shipment-created']),
      ('CANCELLED', 'orders', 'order', ARRAY['order-placed', 'payment-requested', 'order-cancelled']),
      ('CANCELLED', 'inventory', 'order', ARRAY['stock-reserved', 'stock-released']),
      ('CANCELLED', 'payments', 'payment', ARRAY['payment-authorized', 'payment-voided']),
      ('REJECTED', 'orders', 'order', ARRAY['order-placed', 'order-rejected']),
      ('REJECTED', 'inventory', 'order', ARRAY['stock-rejected'])) AS t(status, topic, subject, names) USING (status),
      LATERAL unnest(t.names) WITH ORDINALITY AS e(name, sequence)
    UNION ALL SELECT id::text, id::text, 'inventory', 'product-changed', 1, '{}' FROM catalogue
    UNION ALL SELECT id::text, sku_id::text, 'inventory', 'availability-changed', 1, '{}' FROM catalogue
    UNION ALL SELECT id, id, t.topic, t.name, 1, t.data FROM (SELECT pg_temp.id('customer', 0)::text AS id) AS c, (VALUES
      ('users', 'user-registered', '{}'), ('customers', 'consent-changed', '{"purpose":"RECOMMENDATIONS"}')) AS t(topic, name, data);
  INSERT INTO eventlog.events (topic, partition, "offset", id, type, key, subject, sequence, time, republished, data, appended_at)
    SELECT topic, 0, row_number() OVER (PARTITION BY topic) - 1, pg_temp.id('event ' || topic || subject || sequence, 0),
           topic || '.' || name || '.v1', key, subject, sequence, now(), false, data::json, now()
    FROM told;
  INSERT INTO eventlog.topics SELECT DISTINCT topic, 1 FROM told;
  INSERT INTO eventlog.heads SELECT topic, 0, count(*) FROM told GROUP BY topic`;

function received(): string[] {
  return Object.entries(handledTypes).map(
    ([service, types]) =>
      `INSERT INTO ${service}.inbox SELECT id FROM eventlog.events WHERE type IN (${types.map((type) => `'${type}'`).join(", ")})`,
  );
}
