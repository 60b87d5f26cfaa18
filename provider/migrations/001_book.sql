-- The provider's own book. It is the other side's truth: nothing of the shop writes here but through the HTTP API.

-- What a card number was exchanged for. The number itself is never stored.
CREATE TABLE tokens (
  token      text PRIMARY KEY,
  behaviour  text NOT NULL,
  brand      text NOT NULL,
  last4      text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE authorizations (
  id             text PRIMARY KEY,
  -- The shop's own name for what is paid.
  reference      text NOT NULL,
  description    text,
  currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
  held           boolean NOT NULL DEFAULT false,
  captured_minor bigint NOT NULL DEFAULT 0 CHECK (captured_minor >= 0),
  voided_minor   bigint NOT NULL DEFAULT 0 CHECK (voided_minor >= 0),
  refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
  behaviour      text NOT NULL,
  brand          text NOT NULL,
  last4          text NOT NULL,
  -- Unguessable: who knows it may decide the action.
  action_id      text UNIQUE,
  return_url     text,
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL DEFAULT now() + interval '7 days',
  CHECK (captured_minor + voided_minor <= CASE WHEN held THEN amount_minor ELSE 0 END),
  CHECK (refunded_minor <= captured_minor)
);

-- One row for each key: money never moves twice.
CREATE TABLE operations (
  idempotency_key  text PRIMARY KEY,
  authorization_id text NOT NULL REFERENCES authorizations DEFERRABLE INITIALLY DEFERRED,
  kind             text NOT NULL CHECK (kind IN ('AUTHORIZE', 'CAPTURE', 'VOID', 'REFUND')),
  status           text NOT NULL CHECK (status IN ('SUCCEEDED', 'FAILED', 'ACTION_REQUIRED')),
  code             text,
  -- What moved, or would have.
  amount_minor     bigint NOT NULL CHECK (amount_minor >= 0),
  -- The request, to tell a repeat from another request with the same key.
  request          text NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  settled_at       timestamptz
);
CREATE INDEX operations_authorization ON operations (authorization_id);

-- Requests that were answered 500 once, on purpose.
CREATE TABLE outages (
  idempotency_key text PRIMARY KEY
);

-- Callbacks on their way to the shop.
CREATE TABLE callbacks (
  id              text PRIMARY KEY,
  type            text NOT NULL CHECK (type IN ('operation.settled', 'authorization.disputed')),
  idempotency_key text NOT NULL REFERENCES operations DEFERRABLE INITIALLY DEFERRED,
  attempts        int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  created_at      timestamptz NOT NULL DEFAULT now(),
  delivered_at    timestamptz
);
CREATE INDEX callbacks_due ON callbacks (next_attempt_at) WHERE delivered_at IS NULL;

GRANT SELECT, INSERT ON tokens, outages TO :"role";
GRANT SELECT, INSERT, UPDATE ON authorizations, operations, callbacks TO :"role";
