-- Payments, the operations against the provider, refunds, and the double-entry ledger. Sums are in minor units.

CREATE TABLE payments (
  id               uuid PRIMARY KEY,
  order_id         uuid NOT NULL,
  order_number     text NOT NULL,
  customer_id      uuid NOT NULL,
  currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  status           text NOT NULL DEFAULT 'PENDING'
                   CHECK (status IN ('PENDING', 'ACTION_REQUIRED', 'AUTHORIZED', 'DECLINED', 'VOIDED')),
  amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
  authorized_minor bigint NOT NULL DEFAULT 0,
  captured_minor   bigint NOT NULL DEFAULT 0,
  voided_minor     bigint NOT NULL DEFAULT 0,
  refunded_minor   bigint NOT NULL DEFAULT 0,
  -- What orders has told us to capture so far, and the most that it may ever tell us.
  instructed_minor bigint NOT NULL DEFAULT 0,
  capturable_minor bigint NOT NULL,
  refunds          int NOT NULL DEFAULT 0,
  -- The provider's name for the authorization.
  provider_id      text,
  action_url       text,
  card_brand       text,
  card_last4       text,
  expires_at       timestamptz,
  created_at       timestamptz NOT NULL DEFAULT now(),
  -- Number of events emitted about it.
  version          int NOT NULL DEFAULT 0,
  CONSTRAINT payments_sums CHECK (0 <= refunded_minor AND refunded_minor <= captured_minor AND captured_minor <= authorized_minor),
  CONSTRAINT payments_hold CHECK (0 <= voided_minor AND captured_minor + voided_minor <= authorized_minor),
  CONSTRAINT payments_authorized CHECK (authorized_minor IN (0, amount_minor))
);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX payments_customer ON payments (customer_id);

CREATE TABLE refunds (
  id           uuid PRIMARY KEY,
  payment_id   uuid NOT NULL REFERENCES payments,
  -- The order that asked, which may be the replacement of the order that was paid.
  order_id     uuid NOT NULL,
  customer_id  uuid NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency     text NOT NULL,
  reason       text NOT NULL,
  status       text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'SETTLED', 'FAILED')),
  code         text,
  requested_at timestamptz NOT NULL DEFAULT now(),
  settled_at   timestamptz,
  version      int NOT NULL DEFAULT 0
);
CREATE INDEX refunds_payment ON refunds (payment_id);
CREATE INDEX refunds_order ON refunds (order_id);

-- What the provider is asked. Operations of a payment are done in the order of their ids.
CREATE TABLE operations (
  id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  payment_id      uuid NOT NULL REFERENCES payments,
  kind            text NOT NULL CHECK (kind IN ('AUTHORIZE', 'CAPTURE', 'VOID', 'REFUND')),
  sequence        int NOT NULL CHECK (sequence >= 1),
  -- 2 and more: staff tried again what the provider had refused.
  attempt         int NOT NULL DEFAULT 1 CHECK (attempt >= 1),
  amount_minor    bigint NOT NULL CHECK (amount_minor >= 0),
  refund_id       uuid REFERENCES refunds,
  -- Only until the outcome is known.
  token           text,
  status          text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'UNKNOWN', 'ACTION_REQUIRED', 'SUCCEEDED', 'FAILED')),
  code            text,
  -- How often it was taken up, and when it may be again: a worker that takes it up moves this on as its lease.
  tries           int NOT NULL DEFAULT 0,
  next_try_at     timestamptz NOT NULL DEFAULT now(),
  unknown_since   timestamptz,
  unresolved_told boolean NOT NULL DEFAULT false,
  created_at      timestamptz NOT NULL DEFAULT now(),
  settled_at      timestamptz,
  UNIQUE (payment_id, kind, sequence, attempt)
);
CREATE UNIQUE INDEX operations_one_success ON operations (payment_id, kind, sequence) WHERE status = 'SUCCEEDED';
CREATE INDEX operations_due ON operations (next_try_at) WHERE status IN ('PENDING', 'UNKNOWN');

CREATE TABLE accounts (
  code        text PRIMARY KEY,
  description text NOT NULL,
  -- The sign that its balance may have for one payment: debits are positive, credits negative.
  floor_sign  int NOT NULL CHECK (floor_sign IN (-1, 1))
);
INSERT INTO accounts (code, description, floor_sign) VALUES
  ('CARD_HOLDS', 'What the provider holds on cards for us: authorized, neither captured nor voided', 1),
  ('OPEN_COMMITMENTS', 'The same, as what shoppers have committed to and we have not shipped yet', -1),
  ('PROVIDER_RECEIVABLE', 'What the provider owes us: captured less refunded', 1),
  ('SALES', 'What we have earned: captured, as goods were shipped', -1),
  ('REFUNDS', 'What we gave back', 1);

CREATE TABLE ledger_transactions (
  id         uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payments,
  kind       text NOT NULL CHECK (kind IN ('AUTHORIZE', 'CAPTURE', 'VOID', 'REFUND')),
  sequence   int NOT NULL,
  posted_at  timestamptz NOT NULL DEFAULT now(),
  -- Money moves once for an operation.
  UNIQUE (payment_id, kind, sequence)
);

CREATE TABLE ledger_entries (
  transaction_id uuid NOT NULL REFERENCES ledger_transactions,
  line           int NOT NULL CHECK (line >= 1),
  account        text NOT NULL REFERENCES accounts,
  currency       text NOT NULL,
  -- Debits are positive, credits negative.
  amount_minor   bigint NOT NULL CHECK (amount_minor <> 0),
  PRIMARY KEY (transaction_id, line)
);
CREATE INDEX ledger_entries_account ON ledger_entries (account, transaction_id);

CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT FROM ledger_entries WHERE transaction_id = NEW.transaction_id GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
    RAISE EXCEPTION 'ledger transaction % does not balance', NEW.transaction_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_balances';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION ledger_balances();

-- What card owners have disputed, once for each operation.
CREATE TABLE disputes (
  idempotency_key text PRIMARY KEY,
  payment_id      uuid NOT NULL REFERENCES payments,
  amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
  reason          text NOT NULL,
  opened_at       timestamptz NOT NULL DEFAULT now()
);

-- People who asked to be forgotten; what arrives late about them is redacted too.
CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON payments, refunds, operations TO :"role";
GRANT SELECT ON accounts TO :"role";
-- Entries are only ever added.
GRANT SELECT, INSERT ON ledger_transactions, ledger_entries, disputes, erased TO :"role";
