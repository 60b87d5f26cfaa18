-- Shipments, digital deliveries and the labels of returns.

-- What is sent for an order. The row's lock decides between dispatch and cancellation; its version counts the events.
CREATE TABLE fulfillments (
  order_id     uuid PRIMARY KEY,
  customer_id  uuid NOT NULL,
  order_number text NOT NULL,
  version      int NOT NULL CHECK (version >= 0)
);
CREATE INDEX fulfillments_customer ON fulfillments (customer_id);

CREATE TABLE shipments (
  id              uuid PRIMARY KEY,
  order_id        uuid NOT NULL REFERENCES fulfillments,
  tracking_code   text NOT NULL UNIQUE,
  status          text NOT NULL CHECK (status IN ('TO_PACK', 'DISPATCHED', 'DELIVERED', 'LOST', 'CANCELLED')),
  shipping_method text NOT NULL,
  -- Null once the person asked to be forgotten.
  ship_to         json,
  created_at      timestamptz NOT NULL DEFAULT now(),
  dispatched_at   timestamptz,
  delivered_at    timestamptz,
  lost_at         timestamptz,
  CHECK ((dispatched_at IS NOT NULL) = (status IN ('DISPATCHED', 'DELIVERED', 'LOST'))),
  CHECK ((delivered_at IS NOT NULL) = (status = 'DELIVERED')),
  CHECK ((lost_at IS NOT NULL) = (status = 'LOST'))
);
CREATE INDEX shipments_order ON shipments (order_id);
CREATE INDEX shipments_status ON shipments (status, id);

CREATE TABLE shipment_lines (
  shipment_id uuid NOT NULL REFERENCES shipments,
  line_id     uuid NOT NULL,
  sku_id      uuid NOT NULL,
  name        text NOT NULL,
  -- Units in the parcel, and units that were taken out because they were cancelled.
  quantity    int NOT NULL CHECK (quantity >= 0),
  cancelled   int NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
  PRIMARY KEY (shipment_id, line_id)
);

CREATE TABLE digital_deliveries (
  id              uuid PRIMARY KEY,
  order_id        uuid NOT NULL REFERENCES fulfillments,
  status          text NOT NULL CHECK (status IN ('TO_SEND', 'SENDING', 'SENT', 'FAILED', 'CANCELLED')),
  -- Null where the person asked to be forgotten.
  email           text,
  attempts        int NOT NULL DEFAULT 0,
  -- When it is to be tried; while it is being sent, when another worker may take it over.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  sent_at         timestamptz,
  CHECK ((sent_at IS NOT NULL) = (status = 'SENT'))
);
CREATE INDEX digital_deliveries_order ON digital_deliveries (order_id);
CREATE INDEX digital_deliveries_due ON digital_deliveries (next_attempt_at) WHERE status IN ('TO_SEND', 'SENDING');

-- A delivery's lines, each with a link of its own.
CREATE TABLE downloads (
  id             uuid PRIMARY KEY,
  delivery_id    uuid NOT NULL REFERENCES digital_deliveries,
  line_id        uuid NOT NULL UNIQUE,
  sku_id         uuid NOT NULL,
  name           text NOT NULL,
  quantity       int NOT NULL CHECK (quantity >= 0),
  cancelled      int NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
  refunded       int NOT NULL DEFAULT 0 CHECK (refunded >= 0),
  licence_key    text NOT NULL,
  downloads_left int NOT NULL CHECK (downloads_left >= 0),
  -- Null until the mail is sent for the first time.
  expires_at     timestamptz,
  revoked_at     timestamptz
);
CREATE INDEX downloads_delivery ON downloads (delivery_id);

CREATE TABLE return_labels (
  return_id     uuid PRIMARY KEY,
  order_id      uuid NOT NULL REFERENCES fulfillments,
  return_number text NOT NULL,
  code          text NOT NULL UNIQUE,
  created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON fulfillments, shipments, shipment_lines, digital_deliveries, downloads TO :"role";
GRANT SELECT, INSERT ON return_labels, erased TO :"role";
