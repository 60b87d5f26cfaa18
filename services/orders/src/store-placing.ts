import { statement } from "@crowdcrunch/kit/database";
import type { Transaction } from "@crowdcrunch/kit/database";
import type { Order } from "./order.ts";
import { orderRow } from "./store.ts";

// New orders with their lines.

/** Keeps no personal data of a customer who was erased meanwhile. */
const insertOrders = statement<{ id: string; placed_at: Date; deadline_at: Date | null; email: string | null }>(
  "orderInsert",
  `WITH placed AS (
   INSERT INTO orders (id, number, kind, status, customer_id, version, email, currency, items_minor, tax_minor, shipping_minor,
     discount_minor, total_minor, ship_to, bill_to, shipping_method, coupon_code, cart_id, external_reference, placed_by,
     idempotency_key, exchange_id, replaces_order_id, return_id, funding, payment_token, payment_state, due_minor, deadline_at)
   SELECT id, number, kind, status, customer_id, version, CASE WHEN e.customer_id IS NULL THEN email END, currency, items_minor,
     tax_minor, shipping_minor, discount_minor, total_minor, CASE WHEN e.customer_id IS NULL THEN ship_to END,
     CASE WHEN e.customer_id IS NULL THEN bill_to END, shipping_method, coupon_code, cart_id, external_reference, placed_by,
     idempotency_key, exchange_id, replaces_order_id, return_id, funding, payment_token, payment_state, due_minor,
     now() + make_interval(secs => deadline_seconds)
   FROM json_to_recordset($1::json) AS n(id uuid, number text, kind text, status text, customer_id uuid, version int, email text,
     currency text, items_minor bigint, tax_minor bigint, shipping_minor bigint, discount_minor bigint, total_minor bigint,
     ship_to json, bill_to json, shipping_method text, coupon_code text, cart_id uuid, external_reference text, placed_by uuid,
     idempotency_key uuid, exchange_id uuid, replaces_order_id uuid, return_id uuid, funding json, payment_token text,
     payment_state text, due_minor bigint, deadline_seconds double precision)
   LEFT JOIN erased e USING (customer_id)
   RETURNING id, placed_at, deadline_at, email
   ), due AS (
   INSERT INTO deadlines (order_id, at) SELECT id, deadline_at FROM placed WHERE deadline_at IS NOT NULL
   )
   SELECT id, placed_at, deadline_at, email FROM placed`,
);

const insertLines = statement(
  "orderLineInsert",
  `INSERT INTO order_lines (id, order_id, position, sku_id, product_id, name, quantity, unit_minor, tax_minor, discount_minor,
     paid_minor, digital, price_version, agreed)
   SELECT id, order_id, position, sku_id, product_id, name, quantity, unit_minor, tax_minor, discount_minor, paid_minor,
     digital, price_version, agreed
   FROM json_to_recordset($1::json) AS n(id uuid, order_id uuid, position int, sku_id uuid, product_id uuid, name text, quantity int,
     unit_minor bigint, tax_minor bigint, discount_minor bigint, paid_minor bigint, digital boolean, price_version int, agreed boolean)`,
);

/** What an order has at birth and never changes, beside what `Order` holds. */
export interface NewOrder {
  order: Order;
  billTo: unknown;
  externalReference: string | null;
  placedBy: string;
  idempotencyKey: string;
  /** Until the reservation ends; null where nothing waits for the shopper yet. */
  deadlineSeconds: number | null;
}

/** Stores new orders with their lines. */
export async function createOrders(tx: Transaction, created: NewOrder[]): Promise<void> {
  const rows = created.map(({ order, billTo, externalReference, placedBy, idempotencyKey, deadlineSeconds }) => ({
    ...orderRow(order),
    number: order.number,
    kind: order.kind,
    email: order.email,
    currency: order.currency,
    items_minor: order.totals.itemsMinor,
    tax_minor: order.totals.taxMinor,
    shipping_minor: order.totals.shippingMinor,
    discount_minor: order.totals.discountMinor,
    total_minor: order.totals.totalMinor,
    ship_to: order.shipTo,
    bill_to: billTo,
    shipping_method: order.shippingMethod,
    coupon_code: order.couponCode,
    cart_id: order.cartId,
    external_reference: externalReference,
    placed_by: placedBy,
    idempotency_key: idempotencyKey,
    exchange_id: order.exchangeId,
    replaces_order_id: order.replacesOrderId,
    return_id: order.returnId,
    deadline_seconds: deadlineSeconds,
  }));
  for (const row of await tx.many(insertOrders, [JSON.stringify(rows)])) {
    const order = created.find((candidate) => candidate.order.id === row.id)?.order;
    if (order) Object.assign(order, { placedAt: row.placed_at, deadlineAt: row.deadline_at, email: row.email });
  }
  const lines = created.flatMap(({ order }) =>
    order.lines.map((line) => ({
      id: line.id,
      order_id: order.id,
      position: line.position,
      sku_id: line.skuId,
      product_id: line.productId,
      name: line.name,
      quantity: line.quantity,
      unit_minor: line.unitMinor,
      tax_minor: line.taxMinor,
      discount_minor: line.discountMinor,
      paid_minor: line.paidMinor,
      digital: line.digital,
      price_version: line.priceVersion,
      agreed: line.agreed,
    })),
  );
  await tx.run(insertLines, [JSON.stringify(lines)]);
}
