-- Returns and exchanges, and a read model of what orders delivered.

-- A confirmed order. Its row lock decides between requests for the same units.
CREATE TABLE orders (
  order_id    uuid PRIMARY KEY,
  customer_id uuid NOT NULL,
  number      text NOT NULL UNIQUE,
  currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$')
);
CREATE INDEX orders_customer ON orders (customer_id);

-- Its physical lines; downloads do not come back.
CREATE TABLE order_lines (
  line_id      uuid PRIMARY KEY,
  order_id     uuid NOT NULL REFERENCES orders,
  sku_id       uuid NOT NULL,
  name         text NOT NULL,
  quantity     int NOT NULL CHECK (quantity > 0),
  -- What was paid for all units of the line.
  paid_minor   bigint NOT NULL CHECK (paid_minor >= 0),
  delivered    int NOT NULL DEFAULT 0,
  -- Of the latest delivery: the window for returns counts from here.
  delivered_at timestamptz,
  -- Units of open returns, and units that the shop took back.
  pending      int NOT NULL DEFAULT 0 CHECK (pending >= 0),
  returned     int NOT NULL DEFAULT 0 CHECK (returned >= 0),
  CHECK (delivered <= quantity),
  CHECK (pending + returned <= delivered)
);
CREATE INDEX order_lines_order ON order_lines (order_id);

CREATE TABLE returns (
  id                 uuid PRIMARY KEY,
  number             text NOT NULL UNIQUE,
  order_id           uuid NOT NULL REFERENCES orders,
  status             text NOT NULL CHECK (status IN ('REQUESTED', 'APPROVED', 'REJECTED', 'RECEIVED', 'SETTLING', 'SETTLED')),
  -- Events emitted about this return: the sequence of the latest.
  version            int NOT NULL CHECK (version > 0),
  reason             text NOT NULL,
  -- The shopper's words; null once the person asked to be forgotten.
  comment            text,
  rejection          text,
  external_reference text,
  credit_minor       bigint CHECK (credit_minor >= 0),
  refunded_minor     bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
  requested_at       timestamptz NOT NULL,
  approved_at        timestamptz,
  received_at        timestamptz,
  inspected_at       timestamptz,
  settled_at         timestamptz,
  UNIQUE (order_id, external_reference),
  CHECK ((settled_at IS NOT NULL) = (status = 'SETTLED'))
);
CREATE INDEX returns_order ON returns (order_id);
CREATE INDEX returns_status ON returns (status, id);

CREATE TABLE return_lines (
  return_id   uuid NOT NULL REFERENCES returns,
  line_id     uuid NOT NULL REFERENCES order_lines,
  quantity    int NOT NULL CHECK (quantity > 0),
  received    int NOT NULL DEFAULT 0,
  restocked   int NOT NULL DEFAULT 0 CHECK (restocked >= 0),
  written_off int NOT NULL DEFAULT 0 CHECK (written_off >= 0),
  refused     int NOT NULL DEFAULT 0 CHECK (refused >= 0),
  PRIMARY KEY (return_id, line_id),
  CHECK (received BETWEEN 0 AND quantity),
  CHECK (restocked + written_off + refused <= received)
);

CREATE TABLE exchanges (
  id                   uuid PRIMARY KEY,
  return_id            uuid NOT NULL UNIQUE REFERENCES returns,
  status               text NOT NULL CHECK (status IN ('REQUESTED', 'REPLACING', 'SETTLED', 'FAILED', 'REJECTED')),
  -- Events emitted about this exchange; 0 until the replacement is asked for.
  version              int NOT NULL CHECK (version >= 0),
  replacements         json NOT NULL,
  -- The provider's token, kept only until the replacement is asked for.
  payment_token        text,
  replacement_order_id uuid UNIQUE,
  replacement_minor    bigint CHECK (replacement_minor >= 0),
  failure              text
);

CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON orders, order_lines, returns, return_lines, exchanges TO :"role";
GRANT SELECT, INSERT ON erased TO :"role";
