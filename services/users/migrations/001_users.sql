CREATE TABLE users (
  id                uuid PRIMARY KEY,
  email             text UNIQUE, -- normalised; null once the person was forgotten, as is the password
  password_hash     text,
  roles             text[] NOT NULL CHECK (roles <@ ARRAY['SHOPPER', 'STAFF', 'ADMIN'] AND 'SHOPPER' = ANY (roles)),
  email_verified_at timestamptz,
  version           int NOT NULL, -- the number of events emitted
  created_at        timestamptz NOT NULL DEFAULT now(),
  erased_at         timestamptz,
  CHECK (erased_at IS NULL OR (email IS NULL AND password_hash IS NULL))
);
-- For the search of those who begin like this, in any locale.
CREATE INDEX users_email_prefix ON users (email text_pattern_ops);

-- One for each browser or app. Tokens are kept as hashes; the one before is known for a while, so that two tabs that
-- refresh at once get the same successor.
CREATE TABLE sessions (
  id             uuid PRIMARY KEY,
  user_id        uuid NOT NULL REFERENCES users,
  token_hash     bytea NOT NULL,
  previous_hash  bytea,
  -- With it, and only with the previous token itself, the current token can be made once more.
  successor_salt bytea,
  rotated_at     timestamptz NOT NULL DEFAULT now(),
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Tokens of links in mails: of one use, for one purpose, of one user at one address.
CREATE TABLE link_tokens (
  token_hash bytea PRIMARY KEY,
  user_id    uuid NOT NULL REFERENCES users,
  purpose    text NOT NULL CHECK (purpose IN ('PASSWORD_RESET', 'EMAIL_VERIFICATION')),
  email      text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX link_tokens_user ON link_tokens (user_id, purpose);
CREATE INDEX link_tokens_expiry ON link_tokens (expires_at);

-- Requests for a reset, until the worker has looked whether there is such an account: whoever asks waits for the same
-- insert in either case.
CREATE TABLE reset_requests (
  id    uuid PRIMARY KEY,
  email text NOT NULL
);

-- When something limited was last tried, by whom: hashes of addresses of both kinds. A crash may empty it.
CREATE UNLOGGED TABLE attempts (
  action   text NOT NULL,
  subject  bytea NOT NULL,
  times    timestamptz[] NOT NULL,
  admitted boolean NOT NULL, -- whether the latest attempt was
  last_at  timestamptz NOT NULL,
  PRIMARY KEY (action, subject)
);
CREATE INDEX attempts_last ON attempts (last_at);

CREATE FUNCTION times_within(times timestamptz[], seconds int) RETURNS timestamptz[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(t ORDER BY t), '{}') FROM unnest(times) AS t WHERE t > now() - make_interval(secs => seconds)
$$;

GRANT SELECT, INSERT, UPDATE ON users TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, link_tokens, reset_requests, attempts TO :"role";
GRANT EXECUTE ON FUNCTION times_within(timestamptz[], int) TO :"role";
