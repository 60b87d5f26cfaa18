-- Tables that every service has, in its own schema: outbox, inbox, waiting and parked events, incidents, idempotency keys.

-- Events on their way to the log. Cache 1: per key, id order is commit order, because ids are drawn under the aggregate's lock.
CREATE TABLE outbox (
  id          bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  event_id    uuid NOT NULL,
  type        text NOT NULL,
  key         text NOT NULL,
  subject     text NOT NULL,
  sequence    int NOT NULL,
  time        timestamptz NOT NULL DEFAULT now(),
  traceparent text,
  republished boolean NOT NULL DEFAULT false,
  data        json NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Events that were handled, by id. A partition a day: ids are UUIDv7, so whole days can be dropped.
CREATE TABLE inbox (
  event_id uuid PRIMARY KEY
) PARTITION BY RANGE (event_id);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- The lowest UUIDv7 of a day.
CREATE FUNCTION inbox_bound(day date) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM day::timestamp) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partitions of today and the coming days, and drops those older than keep_days. The default partition takes
-- what has no day of its own; a day whose events already stand there is left to it.
CREATE FUNCTION inbox_maintain(days_ahead int, keep_days int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  day date;
  child record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext(current_schema() || '.inbox'));
  FOR day IN SELECT generate_series(current_date, current_date + days_ahead, interval '1 day')::date LOOP
    IF to_regclass(format('inbox_%s', to_char(day, 'YYYYMMDD'))) IS NULL
       AND NOT EXISTS (SELECT 1 FROM inbox_default WHERE event_id >= inbox_bound(day) AND event_id < inbox_bound(day + 1)) THEN
      EXECUTE format('CREATE TABLE inbox_%s PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)',
        to_char(day, 'YYYYMMDD'), inbox_bound(day), inbox_bound(day + 1));
    END IF;
  END LOOP;
  FOR child IN
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'inbox'::regclass AND relname ~ '^inbox_\d{8}$'
      AND to_date(right(relname, 8), 'YYYYMMDD') < current_date - keep_days
  LOOP
    EXECUTE format('DROP TABLE %I', child.relname);
  END LOOP;
END $$;

-- Events whose time has not come: tried again when their key changes, then with back-off, then parked.
CREATE TABLE waiting (
  event_id        uuid PRIMARY KEY,
  key             text NOT NULL,
  event           json NOT NULL,
  since           timestamptz NOT NULL DEFAULT now(),
  attempts        int NOT NULL DEFAULT 1,
  next_attempt_at timestamptz NOT NULL DEFAULT now() + interval '200 milliseconds'
);
CREATE INDEX waiting_key ON waiting (key);

-- Events that cannot be handled, and the later events of their keys, in the order in which they must be replayed.
CREATE TABLE parked (
  position  bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  event_id  uuid NOT NULL UNIQUE,
  key       text NOT NULL,
  event     json NOT NULL,
  reason    text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parked_key ON parked (key);

CREATE TABLE incidents (
  id          uuid PRIMARY KEY,
  kind        text NOT NULL,
  subject     text NOT NULL,
  detail      text NOT NULL,
  opened_at   timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz,
  resolved_by text,
  resolution  text
);
CREATE UNIQUE INDEX incidents_open ON incidents (kind, subject) WHERE resolved_at IS NULL;

-- What a mutation answered, by the caller's key: the same key gets the same answer.
CREATE TABLE idempotency (
  principal    text NOT NULL,
  operation    text NOT NULL,
  key          uuid NOT NULL,
  request_hash text NOT NULL,
  result       json,
  created_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (principal, operation, key)
);

GRANT SELECT, INSERT, DELETE ON outbox TO :"role";
GRANT SELECT, INSERT ON inbox TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON waiting, parked TO :"role";
GRANT SELECT, INSERT, UPDATE ON incidents, idempotency TO :"role";
GRANT EXECUTE ON FUNCTION inbox_maintain(int, int) TO :"role";
