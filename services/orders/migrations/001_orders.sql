-- Orders, their lines and timelines; the tables that price them; a read model of the catalogue.

CREATE TABLE orders (
  id                  uuid PRIMARY KEY,
  number              text NOT NULL UNIQUE,
  kind                text NOT NULL CHECK (kind IN ('SALE', 'REPLACEMENT')),
  status              text NOT NULL CHECK (status IN ('PENDING', 'AWAITING_PAYMENT', 'PAYMENT_ACTION_REQUIRED', 'AWAITING_RETURN',
                        'CONFIRMED', 'PARTIALLY_SHIPPED', 'SHIPPED', 'PARTIALLY_DELIVERED', 'DELIVERED', 'COMPLETED', 'REJECTED', 'CANCELLED')),
  customer_id         uuid NOT NULL,
  -- Events emitted about this order: the sequence of the latest.
  version             int NOT NULL,
  email               text,
  currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  items_minor         bigint NOT NULL CHECK (items_minor >= 0),
  tax_minor           bigint NOT NULL CHECK (tax_minor >= 0),
  shipping_minor      bigint NOT NULL CHECK (shipping_minor >= 0),
  discount_minor      bigint NOT NULL CHECK (discount_minor >= 0),
  total_minor         bigint NOT NULL CHECK (total_minor >= 0),
  ship_to             json,
  bill_to             json,
  shipping_method     text NOT NULL,
  coupon_code         text,
  cart_id             uuid,
  external_reference  text,
  placed_by           uuid NOT NULL,
  idempotency_key     uuid NOT NULL,
  -- Of a replacement: what it replaces, and what the returned goods are worth (null until they were inspected).
  exchange_id         uuid,
  replaces_order_id   uuid,
  return_id           uuid,
  credit_minor        bigint CHECK (credit_minor >= 0),
  -- What paid for the order, in the order in which refunds take from it.
  funding             json NOT NULL DEFAULT '[]',
  stock_reserved      boolean NOT NULL DEFAULT false,
  -- The provider's token, kept only until the payment is requested.
  payment_token       text,
  payment_id          uuid,
  payment_state       text NOT NULL CHECK (payment_state IN ('NONE', 'REQUESTED', 'ACTION_REQUIRED', 'DECLINED', 'AUTHORIZED', 'VOIDED')),
  payment_attempt     int NOT NULL DEFAULT 0,
  payment_url         text,
  due_minor           bigint NOT NULL DEFAULT 0 CHECK (due_minor >= 0),
  capture_sequence    int NOT NULL DEFAULT 0,
  capture_asked_minor bigint NOT NULL DEFAULT 0,
  captured_minor      bigint NOT NULL DEFAULT 0,
  refunded_minor      bigint NOT NULL DEFAULT 0,
  -- A cancelled order is open until stock and money are back.
  awaits_stock        boolean NOT NULL DEFAULT false,
  awaits_void         boolean NOT NULL DEFAULT false,
  -- The reservation's expiry and the saga's deadline in one; null where nothing waits for the shopper.
  deadline_at         timestamptz,
  placed_at           timestamptz NOT NULL DEFAULT now(),
  UNIQUE (placed_by, idempotency_key),
  CHECK (total_minor = items_minor + tax_minor + shipping_minor - discount_minor),
  CHECK (refunded_minor >= 0 AND captured_minor >= 0 AND capture_asked_minor <= due_minor)
) WITH (fillfactor = 60);
-- No index on what changes along an order's way: an update then leaves all indexes alone (HOT). Lists by status walk back
-- from the newest order.
CREATE INDEX orders_customer ON orders (customer_id, id DESC);
CREATE INDEX orders_email ON orders (lower(email)) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX orders_external_reference ON orders (external_reference) WHERE external_reference IS NOT NULL;
CREATE UNIQUE INDEX orders_exchange ON orders (exchange_id) WHERE exchange_id IS NOT NULL;

-- Orders that wait for a payment, by the end of their waiting.
CREATE TABLE deadlines (
  order_id uuid PRIMARY KEY,
  at       timestamptz NOT NULL
);
CREATE INDEX deadlines_at ON deadlines (at);

CREATE TABLE order_lines (
  id             uuid PRIMARY KEY,
  order_id       uuid NOT NULL REFERENCES orders,
  position       int NOT NULL,
  sku_id         uuid NOT NULL,
  product_id     uuid NOT NULL,
  name           text NOT NULL,
  quantity       int NOT NULL CHECK (quantity BETWEEN 1 AND 100000),
  unit_minor     bigint NOT NULL CHECK (unit_minor >= 0),
  tax_minor      bigint NOT NULL CHECK (tax_minor >= 0),
  discount_minor bigint NOT NULL CHECK (discount_minor >= 0),
  -- What the shopper pays for the line, tax included.
  paid_minor     bigint NOT NULL CHECK (paid_minor = unit_minor * quantity - discount_minor),
  digital        boolean NOT NULL,
  price_version  int NOT NULL,
  -- The price was agreed with staff and not taken from the catalogue.
  agreed         boolean NOT NULL DEFAULT false,
  shipped        int NOT NULL DEFAULT 0,
  delivered      int NOT NULL DEFAULT 0,
  lost           int NOT NULL DEFAULT 0,
  cancelled      int NOT NULL DEFAULT 0,
  returned       int NOT NULL DEFAULT 0,
  refunded_minor bigint NOT NULL DEFAULT 0,
  UNIQUE (order_id, position),
  CHECK (shipped >= 0 AND cancelled >= 0 AND shipped + cancelled <= quantity),
  CHECK (delivered >= 0 AND lost >= 0 AND delivered + lost <= shipped),
  CHECK (returned >= 0 AND returned <= shipped),
  CHECK (refunded_minor >= 0 AND refunded_minor <= paid_minor)
) WITH (fillfactor = 80);

CREATE TABLE timeline (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id uuid NOT NULL,
  at       timestamptz NOT NULL DEFAULT now(),
  what     text NOT NULL,
  detail   text,
  -- Who acted: an id and a role; null where the system did.
  actor    json
);
CREATE INDEX timeline_order ON timeline (order_id, id);

CREATE TABLE cancellations (
  id           uuid PRIMARY KEY,
  order_id     uuid NOT NULL REFERENCES orders,
  reason       text NOT NULL,
  status       text NOT NULL CHECK (status IN ('REQUESTED', 'DONE', 'REFUSED')),
  -- Units asked and not yet answered.
  open_units   int NOT NULL CHECK (open_units >= 0),
  requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cancellations_order ON cancellations (order_id);

CREATE TABLE refunds (
  id           uuid PRIMARY KEY,
  order_id     uuid NOT NULL REFERENCES orders,
  payment_id   uuid,
  return_id    uuid,
  reason       text NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  lines        json NOT NULL,
  status       text NOT NULL CHECK (status IN ('REQUESTED', 'SETTLED', 'FAILED')),
  requested_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refunds_order ON refunds (order_id);

CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL
);

-- The read model of products and prices, as product-changed tells it.
CREATE TABLE catalogue_products (
  product_id uuid PRIMARY KEY,
  version    int NOT NULL
);
CREATE TABLE catalogue_skus (
  sku_id        uuid PRIMARY KEY,
  product_id    uuid NOT NULL REFERENCES catalogue_products,
  name          text NOT NULL,
  digital       boolean NOT NULL,
  tax_class     text NOT NULL,
  price_version int NOT NULL,
  on_sale       boolean NOT NULL,
  -- Minor units by currency.
  prices        json NOT NULL
);
CREATE INDEX catalogue_skus_product ON catalogue_skus (product_id);

-- Tax that prices include, in basis points (2000 = 20 %), by the country of delivery and the product's class.
CREATE TABLE tax_rates (
  country_code text NOT NULL,
  tax_class    text NOT NULL,
  basis_points int NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),
  PRIMARY KEY (country_code, tax_class)
);
INSERT INTO tax_rates VALUES
  ('GB', 'standard', 2000), ('GB', 'reduced', 500), ('GB', 'zero', 0),
  ('IE', 'standard', 2300), ('IE', 'reduced', 1350), ('IE', 'zero', 0),
  ('DE', 'standard', 1900), ('DE', 'reduced', 700), ('DE', 'zero', 0),
  ('FR', 'standard', 2000), ('FR', 'reduced', 550), ('FR', 'zero', 0),
  ('NL', 'standard', 2100), ('NL', 'reduced', 900), ('NL', 'zero', 0),
  ('ES', 'standard', 2100), ('ES', 'reduced', 1000), ('ES', 'zero', 0),
  ('IT', 'standard', 2200), ('IT', 'reduced', 1000), ('IT', 'zero', 0);

CREATE TABLE shipping_methods (
  code             text NOT NULL,
  name             text NOT NULL,
  currency         text NOT NULL,
  price_minor      bigint NOT NULL CHECK (price_minor >= 0),
  -- Free for goods of this value and more; null where it never is.
  free_above_minor bigint CHECK (free_above_minor >= 0),
  PRIMARY KEY (code, currency)
);
INSERT INTO shipping_methods VALUES
  ('standard', 'Standard, 2 to 4 days', 'GBP', 395, 5000), ('standard', 'Standard, 2 to 4 days', 'EUR', 495, 6000),
  ('standard', 'Standard, 2 to 4 days', 'USD', 595, 7000), ('express', 'Express, next working day', 'GBP', 795, NULL),
  ('express', 'Express, next working day', 'EUR', 995, NULL), ('express', 'Express, next working day', 'USD', 1095, NULL);

CREATE TABLE coupons (
  code             text PRIMARY KEY CHECK (code = upper(code)),
  percent          int CHECK (percent BETWEEN 1 AND 100),
  amount_minor     bigint CHECK (amount_minor > 0),
  currency         text,
  starts_at        timestamptz NOT NULL DEFAULT now(),
  ends_at          timestamptz,
  -- How often it may be used; null without limit.
  uses_at_most     int CHECK (uses_at_most > 0),
  uses             int NOT NULL DEFAULT 0,
  created_by       uuid NOT NULL,
  CHECK ((percent IS NULL) <> (amount_minor IS NULL)),
  CHECK ((amount_minor IS NULL) = (currency IS NULL)),
  CHECK (uses >= 0 AND (uses_at_most IS NULL OR uses <= uses_at_most))
);

GRANT SELECT, INSERT, UPDATE ON orders, order_lines, cancellations, refunds, coupons, catalogue_products, catalogue_skus TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON deadlines TO :"role";
GRANT SELECT, INSERT ON timeline, erased TO :"role";
GRANT SELECT ON tax_rates, shipping_methods TO :"role";
