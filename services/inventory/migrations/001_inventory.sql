-- Products, SKUs, prices and categories; stock per location with its movements and reservations.

CREATE TABLE locations (
  id   uuid PRIMARY KEY,
  code text NOT NULL UNIQUE,
  name text NOT NULL
);

CREATE TABLE categories (
  id          uuid PRIMARY KEY,
  slug        text NOT NULL UNIQUE,
  name        text NOT NULL,
  description text NOT NULL DEFAULT '',
  parent_id   uuid REFERENCES categories
);

CREATE TABLE products (
  id          uuid PRIMARY KEY,
  slug        text NOT NULL UNIQUE,
  name        text NOT NULL,
  description text NOT NULL,
  picture     text,
  tax_class   text NOT NULL CHECK (tax_class IN ('standard', 'reduced', 'zero')),
  published   boolean NOT NULL,
  -- Events emitted about it: the sequence of the latest product-changed.
  version     int NOT NULL,
  -- Name above options and categories above description; written with every change.
  search      tsvector NOT NULL DEFAULT '',
  changed_at  timestamptz NOT NULL DEFAULT now()
);
-- Without the list of pending entries, which an import fills and every search would read.
CREATE INDEX products_search ON products USING gin (search) WITH (fastupdate = off);
CREATE INDEX products_name ON products (name, id) WHERE published;

CREATE TABLE product_categories (
  product_id  uuid NOT NULL REFERENCES products,
  category_id uuid NOT NULL REFERENCES categories,
  PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_categories_category ON product_categories (category_id);

CREATE TABLE skus (
  id                   uuid PRIMARY KEY,
  product_id           uuid NOT NULL REFERENCES products,
  position             int NOT NULL,
  -- Upper and lower case differ. Checked when a statement ends, so that two SKUs can change their codes with each other.
  code                 text NOT NULL UNIQUE DEFERRABLE,
  options              json NOT NULL,
  digital              boolean NOT NULL,
  weight_grams         int NOT NULL CHECK (weight_grams >= 0),
  -- False once it is no longer among the product's SKUs: orders still refer to it.
  listed               boolean NOT NULL DEFAULT true,
  price_version        int NOT NULL DEFAULT 1,
  availability         text NOT NULL DEFAULT 'OUT_OF_STOCK' CHECK (availability IN ('IN_STOCK', 'LOW_STOCK', 'OUT_OF_STOCK')),
  availability_version int NOT NULL DEFAULT 0
);
CREATE INDEX skus_product ON skus (product_id, position);
CREATE INDEX skus_low ON skus (availability, id) WHERE availability <> 'IN_STOCK' AND NOT digital;

CREATE TABLE prices (
  sku_id       uuid NOT NULL REFERENCES skus,
  currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  PRIMARY KEY (sku_id, currency)
);

-- What the cheapest SKU of a product costs: lists are sorted and filtered by it. Written with every change of a price.
CREATE TABLE product_prices (
  product_id   uuid NOT NULL REFERENCES products,
  currency     text NOT NULL,
  lowest_minor bigint NOT NULL,
  PRIMARY KEY (product_id, currency)
);
CREATE INDEX product_prices_lowest ON product_prices (currency, lowest_minor, product_id);

-- Words of the catalogue that a mistyped word may have meant. Words are only added: one that no product has any longer
-- is found out when it is looked up.
CREATE TABLE search_words (
  word text PRIMARY KEY
);
CREATE INDEX search_words_alike ON search_words USING gist (word gist_trgm_ops);

CREATE TABLE stock (
  sku_id      uuid NOT NULL REFERENCES skus,
  location_id uuid NOT NULL REFERENCES locations,
  on_hand     bigint NOT NULL,
  reserved    bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (sku_id, location_id),
  CONSTRAINT stock_sums CHECK (on_hand >= 0 AND reserved >= 0 AND reserved <= on_hand)
) WITH (fillfactor = 70);

-- The ledger of stock: on hand is the sum of these, and rows are only ever added.
CREATE TABLE movements (
  id          uuid PRIMARY KEY,
  -- Of a row of stock, which refers to SKU and location; so do reservations. Without references of their own a batch of
  -- orders does not lock those rows again and again.
  sku_id      uuid NOT NULL,
  location_id uuid NOT NULL,
  quantity    bigint NOT NULL CHECK (quantity <> 0),
  reason      text NOT NULL CHECK (reason IN ('OPENING', 'RECEIPT', 'CORRECTION', 'LOSS', 'SALE', 'RETURN')),
  -- What it belongs to: an order's parcel or a return; with the line it is the movement's identity.
  reference   text,
  line_id     uuid,
  actor       uuid,
  moved_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (reason, reference, line_id, location_id)
);
CREATE INDEX movements_sku ON movements (sku_id, id DESC);

-- What inventory has said about an order: one row an order, whose version counts its events.
CREATE TABLE order_stock (
  order_id    uuid PRIMARY KEY,
  customer_id uuid NOT NULL,
  -- UNKNOWN: cancelled here without ever having been placed here.
  state       text NOT NULL CHECK (state IN ('RESERVED', 'REJECTED', 'UNKNOWN')),
  version     int NOT NULL,
  -- Cancellations and parcels that were applied: none of them counts twice, whatever event it comes with.
  settled     uuid[] NOT NULL DEFAULT '{}'
);

CREATE TABLE reservations (
  order_id    uuid NOT NULL REFERENCES order_stock,
  line_id     uuid NOT NULL,
  sku_id      uuid NOT NULL,
  location_id uuid NOT NULL,
  quantity    bigint NOT NULL CHECK (quantity > 0),
  consumed    bigint NOT NULL DEFAULT 0 CHECK (consumed >= 0),
  released    bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
  PRIMARY KEY (order_id, line_id, location_id),
  CONSTRAINT reservations_once CHECK (consumed + released <= quantity)
);
CREATE INDEX reservations_sku ON reservations (sku_id);

-- Goods that came back, once for each (return, line, disposition).
CREATE TABLE returned (
  return_id   uuid NOT NULL,
  line_id     uuid NOT NULL,
  disposition text NOT NULL,
  quantity    bigint NOT NULL,
  PRIMARY KEY (return_id, line_id, disposition)
);

GRANT SELECT, INSERT, UPDATE ON locations, categories, products, skus, stock, order_stock, reservations TO :"role";
GRANT SELECT, INSERT, DELETE ON product_categories TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON prices, product_prices TO :"role";
GRANT SELECT, INSERT ON movements, returned, search_words TO :"role";
