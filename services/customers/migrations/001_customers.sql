-- What we may know of people and say to them: profiles, addresses, consents, mails.

CREATE TABLE customers (
  -- The account's id, a guest's `sub`, or made at import.
  id                 uuid PRIMARY KEY,
  name               text,
  email              text,
  country            text,
  -- The number under which another system knows the customer.
  external_reference text UNIQUE,
  -- Events emitted about this customer: the sequence of the latest.
  version            int NOT NULL DEFAULT 0,
  created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE addresses (
  id          uuid PRIMARY KEY,
  customer_id uuid NOT NULL,
  label       text,
  address     json NOT NULL
);
CREATE INDEX addresses_customer ON addresses (customer_id, id);

CREATE TABLE consents (
  customer_id uuid NOT NULL,
  purpose     text NOT NULL,
  granted     boolean NOT NULL,
  changed_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, purpose)
);

-- A mail's id is that of the event that it tells of: one event, one mail, and one Message-ID however often it is sent.
CREATE TABLE mails (
  id              uuid PRIMARY KEY,
  customer_id     uuid NOT NULL,
  kind            text NOT NULL,
  -- The id of what it is about: an order, a cart, an account.
  about           uuid NOT NULL,
  -- Null while the person's address is not known yet.
  email           text,
  subject         text NOT NULL,
  -- Secrets in links are taken out once it was sent.
  text            text NOT NULL,
  state           text NOT NULL DEFAULT 'QUEUED' CHECK (state IN ('QUEUED', 'SENT', 'FAILED', 'EXPIRED')),
  -- After it the mail's link is of no use.
  expires_at      timestamptz,
  queued_at       timestamptz NOT NULL DEFAULT now(),
  -- When it may be tried; while it is being sent, when its lease ends.
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  attempts        int NOT NULL DEFAULT 0,
  last_error      text,
  sent_at         timestamptz
);
CREATE INDEX mails_customer ON mails (customer_id, id DESC);
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE state = 'QUEUED';
CREATE UNIQUE INDEX mails_one_reminder ON mails (about) WHERE kind = 'CART_REMINDER';

-- Guests who became accounts: what arrives late for the guest is the account's.
CREATE TABLE claims (
  guest_id uuid PRIMARY KEY,
  user_id  uuid NOT NULL
);

-- People who were forgotten: what arrives late about them is not kept.
CREATE TABLE erased (
  customer_id uuid PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT now()
);

GRANT SELECT, INSERT, UPDATE ON customers TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON addresses, mails TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON consents TO :"role";
GRANT SELECT, INSERT ON claims, erased TO :"role";
