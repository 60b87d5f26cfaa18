-- How a shop leaves this log for another one. Run by the bootstrap after schema.sql; may be run again at any time.

-- Has a row once the log is closed: nothing is appended any more, and no service starts on it.
CREATE TABLE IF NOT EXISTS eventlog.closed (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  closed_at timestamptz NOT NULL
);

CREATE OR REPLACE FUNCTION eventlog.refuse_when_closed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  since timestamptz;
BEGIN
  SELECT closed_at INTO since FROM eventlog.closed;
  IF FOUND THEN
    RAISE EXCEPTION 'the embedded event log is closed: the shop went over to Kafka at %; start its services with KAFKA_BROKERS', since
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  RETURN NULL;
END $$;

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'only_while_open' AND tgrelid = 'eventlog.heads'::regclass) THEN
    -- Creating a topic, also one that exists.
    CREATE TRIGGER only_while_open BEFORE INSERT ON eventlog.topics
      FOR EACH STATEMENT EXECUTE FUNCTION eventlog.refuse_when_closed();
    -- Appending.
    CREATE TRIGGER only_while_open BEFORE UPDATE ON eventlog.heads
      FOR EACH STATEMENT EXECUTE FUNCTION eventlog.refuse_when_closed();
  END IF;
END $$;

-- Closes the log, unless a group has not handled all of it; returns those groups, and closes only where there are none.
CREATE OR REPLACE FUNCTION eventlog.close() RETURNS TABLE (group_name text, topic text, behind bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM eventlog.closed) THEN
    RETURN;
  END IF;
  -- Whoever appends at this moment is waited for, and whoever comes later finds the log closed.
  PERFORM FROM eventlog.heads h ORDER BY h.topic, h.partition FOR UPDATE;
  RETURN QUERY
    SELECT p.group_name, p.topic, sum(h.next - p.committed)::bigint
    FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
    WHERE h.next > p.committed
    GROUP BY p.group_name, p.topic ORDER BY p.group_name, p.topic;
  IF NOT FOUND THEN
    INSERT INTO eventlog.closed VALUES (true, clock_timestamp()) ON CONFLICT DO NOTHING;
  END IF;
END $$;
