-- Carts; a read model of the catalogue for pages; what is bought together; who agreed to what.

-- A cart is one row with its lines in it, {"<sku>": {"position": 1, "quantity": 2}}: a line is set by one statement that
-- sees the newest cart, however many tabs are open.
CREATE TABLE carts (
  id           uuid PRIMARY KEY,
  -- A token's `sub`: an account's or a guest's.
  customer_id  uuid NOT NULL,
  guest        boolean NOT NULL,
  -- The guest whose cart it was before the person signed up or in.
  claimed_from uuid,
  status       text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'ORDERED')),
  -- Of an ordered cart; it holds exactly what was ordered.
  order_id     uuid,
  lines        jsonb NOT NULL,
  coupon_code  text,
  ship_to      json,
  version      int NOT NULL DEFAULT 1,
  touched_at   timestamptz NOT NULL DEFAULT now(),
  reminded_at  timestamptz,
  CHECK ((status = 'ORDERED') = (order_id IS NOT NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX carts_open ON carts (customer_id) WHERE status = 'OPEN';
CREATE INDEX carts_ordered ON carts (customer_id) WHERE status = 'ORDERED';

-- What both have, quantities added up to the limit of a line, the first cart's lines first.
CREATE FUNCTION merged_lines(first jsonb, second jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_object_agg(sku, jsonb_build_object('position', place, 'quantity', quantity)), '{}')
  FROM (
    SELECT sku, row_number() OVER (ORDER BY min(ARRAY[cart, position]), sku) AS place, least(sum(quantity), 100000) AS quantity
    FROM (
      SELECT 1 AS cart, key AS sku, (value->>'position')::int AS position, (value->>'quantity')::int AS quantity FROM jsonb_each(first)
      UNION ALL
      SELECT 2, key, (value->>'position')::int, (value->>'quantity')::int FROM jsonb_each(second)
    ) AS both_carts
    GROUP BY sku ORDER BY place LIMIT 1000
  ) AS merged
$$;

-- Orders of an account for a cart that is still a guest's here: closed when the guest is claimed.
CREATE TABLE early_orders (
  cart_id     uuid NOT NULL,
  customer_id uuid NOT NULL,
  order_id    uuid NOT NULL,
  lines       json NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cart_id, customer_id)
);

-- The catalogue as product-changed tells it. Two products may have one slug while a rename is on its way.
CREATE TABLE products (
  product_id  uuid PRIMARY KEY,
  version     int NOT NULL,
  published   boolean NOT NULL,
  slug        text NOT NULL,
  name        text NOT NULL,
  description text NOT NULL,
  image       text,
  categories  json NOT NULL
);
CREATE INDEX products_slug ON products (slug);

CREATE TABLE skus (
  sku_id     uuid PRIMARY KEY,
  product_id uuid NOT NULL,
  position   int NOT NULL,
  code       text NOT NULL,
  name       text NOT NULL,
  digital    boolean NOT NULL,
  options    json NOT NULL,
  prices     json NOT NULL
);
CREATE INDEX skus_product ON skus (product_id);

CREATE TABLE availabilities (
  sku_id       uuid PRIMARY KEY,
  version      int NOT NULL,
  availability text NOT NULL
);

-- How many orders had both products; no person stands in it.
CREATE TABLE bought_together (
  product_id uuid NOT NULL,
  other_id   uuid NOT NULL,
  orders     int NOT NULL,
  PRIMARY KEY (product_id, other_id)
);

-- Products of people who agreed to recommendations: those are not recommended to them again.
CREATE TABLE purchases (
  customer_id uuid NOT NULL,
  product_id  uuid NOT NULL,
  PRIMARY KEY (customer_id, product_id)
);

CREATE TABLE consents (
  customer_id uuid NOT NULL,
  purpose     text NOT NULL,
  granted     boolean NOT NULL,
  version     int NOT NULL,
  PRIMARY KEY (customer_id, purpose)
);

-- People who were forgotten: what arrives late about them is not kept.
CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON carts, skus TO :"role";
GRANT SELECT, INSERT, UPDATE ON products, availabilities TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON bought_together, consents TO :"role";
GRANT SELECT, INSERT, DELETE ON purchases, early_orders TO :"role";
GRANT SELECT, INSERT ON erased TO :"role";
GRANT EXECUTE ON FUNCTION merged_lines(jsonb, jsonb) TO :"role";
