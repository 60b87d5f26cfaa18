-- The event log over Postgres. Run by the bootstrap as the log's owner; may be run again at any time.
-- Services write only through the functions, which act with the owner's rights and check session_user, the login.

CREATE TABLE IF NOT EXISTS eventlog.topics (
  topic      text PRIMARY KEY, -- also the name of the only role that may append
  partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 1000)
);

CREATE TABLE IF NOT EXISTS eventlog.heads (
  topic     text NOT NULL REFERENCES eventlog.topics,
  partition int NOT NULL,
  next      bigint NOT NULL DEFAULT 0, -- offset of the next event
  PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20);

CREATE TABLE IF NOT EXISTS eventlog.events (
  topic       text NOT NULL,
  partition   int NOT NULL,
  "offset"    bigint NOT NULL,
  id          uuid NOT NULL,
  type        text NOT NULL,
  key         text NOT NULL,
  subject     text NOT NULL,
  sequence    int NOT NULL,
  time        timestamptz NOT NULL,
  traceparent text,
  republished boolean NOT NULL,
  data        json NOT NULL,
  appended_at timestamptz NOT NULL, -- never falls within a partition
  PRIMARY KEY (topic, partition, "offset")
);

CREATE TABLE IF NOT EXISTS eventlog.members (
  group_name  text NOT NULL,
  member      uuid NOT NULL,
  topics      text[] NOT NULL,
  lease_until timestamptz NOT NULL,
  PRIMARY KEY (group_name, member)
) WITH (fillfactor = 20);

CREATE TABLE IF NOT EXISTS eventlog.positions (
  group_name text NOT NULL,
  topic      text NOT NULL,
  partition  int NOT NULL,
  committed  bigint NOT NULL DEFAULT 0, -- offset of the first event that was not handled
  member     uuid,                      -- who reads the partition; null while it is free
  epoch      bigint NOT NULL DEFAULT 0, -- rises with each new reader, so that a former one cannot commit
  PRIMARY KEY (group_name, topic, partition),
  FOREIGN KEY (topic, partition) REFERENCES eventlog.heads
) WITH (fillfactor = 20);

DO $$ BEGIN
  IF to_regtype('eventlog.event') IS NULL THEN
    CREATE TYPE eventlog.event AS (
      id uuid, type text, key text, subject text, sequence int, time timestamptz, traceparent text, republished boolean, data json);
    CREATE TYPE eventlog.delivery AS (
      topic text, partition int, epoch bigint, "offset" bigint,
      id uuid, type text, key text, subject text, sequence int, time timestamptz, traceparent text, republished boolean, data json);
  END IF;
END $$;

CREATE OR REPLACE FUNCTION eventlog.partition_of(key text, partitions int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ((hashtextextended(key, 0) & 9223372036854775807) % partitions)::int
$$;

CREATE OR REPLACE FUNCTION eventlog.check_publisher(topic text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF topic IS DISTINCT FROM session_user THEN
    RAISE EXCEPTION '% may not publish to the topic %', session_user, topic USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION eventlog.check_group(of_group text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF of_group IS NULL OR split_part(of_group, '.', 1) <> session_user THEN
    RAISE EXCEPTION '% may not use the group %', session_user, of_group USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION eventlog.create_topic(new_topic text, wanted int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  present int;
BEGIN
  PERFORM eventlog.check_publisher(new_topic);
  INSERT INTO eventlog.topics (topic, partitions) VALUES (new_topic, wanted) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO eventlog.heads (topic, partition) SELECT new_topic, generate_series(0, wanted - 1);
    PERFORM pg_notify('eventlog.topic.' || new_topic, 'created');
    RETURN;
  END IF;
  SELECT partitions INTO present FROM eventlog.topics WHERE topic = new_topic;
  IF present <> wanted THEN
    RAISE EXCEPTION 'the topic % has % partitions and not %: another number would break the order within keys', new_topic, present, wanted
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
END $$;

-- Appends in the array's order; returns how many. The transaction does not wait for the disk: if a crash takes the
-- events it also takes the removal from the outbox and whatever was derived from them, which stand later in the same WAL.
CREATE OR REPLACE FUNCTION eventlog.append(to_topic text, batch eventlog.event[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  count_of_partitions int;
BEGIN
  PERFORM eventlog.check_publisher(to_topic);
  IF coalesce(cardinality(batch), 0) = 0 THEN
    RETURN 0;
  END IF;
  SELECT partitions INTO count_of_partitions FROM eventlog.topics WHERE topic = to_topic;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the topic % does not exist', to_topic USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  -- Held to the commit, so that offsets become visible in order and without a gap; taken in order, so without deadlock.
  PERFORM FROM eventlog.heads
    WHERE topic = to_topic
      AND partition IN (SELECT eventlog.partition_of(e.key, count_of_partitions) FROM unnest(batch) AS e)
    ORDER BY partition FOR UPDATE;
  WITH incoming AS MATERIALIZED (
    SELECT e.*, eventlog.partition_of(e.key, count_of_partitions) AS partition
    FROM unnest(batch) WITH ORDINALITY
      AS e(id, type, key, subject, sequence, time, traceparent, republished, data, nth)
  ), moved AS (
    UPDATE eventlog.heads h SET next = h.next + c.events
    FROM (SELECT partition, count(*) AS events FROM incoming GROUP BY partition) c
    WHERE h.topic = to_topic AND h.partition = c.partition
    RETURNING h.partition, h.next - c.events AS first
  )
  INSERT INTO eventlog.events
  SELECT to_topic, i.partition, m.first - 1 + row_number() OVER (PARTITION BY i.partition ORDER BY i.nth),
         i.id, i.type, i.key, i.subject, i.sequence, i.time, i.traceparent, i.republished, i.data, clock_timestamp()
  FROM incoming i JOIN moved m USING (partition);
  RETURN cardinality(batch);
END $$;

-- Renews the member's lease, and moves partitions towards an even share of each topic: gives up what is too much, takes
-- what is free. To be called only while the member handles nothing. The others are told where something changed.
CREATE OR REPLACE FUNCTION eventlog.balance(of_group text, me uuid, my_topics text[], lease interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  changed boolean;
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock(hashtext('eventlog.group'), hashtext(of_group));
  UPDATE eventlog.members SET topics = my_topics, lease_until = clock_timestamp() + lease
    WHERE group_name = of_group AND member = me;
  changed := NOT FOUND;
  IF changed THEN
    INSERT INTO eventlog.members VALUES (of_group, me, my_topics, clock_timestamp() + lease);
  END IF;
  DELETE FROM eventlog.members WHERE group_name = of_group AND lease_until < clock_timestamp();
  changed := changed OR FOUND;

  INSERT INTO eventlog.positions (group_name, topic, partition)
  SELECT of_group, h.topic, h.partition FROM eventlog.heads h
  WHERE h.topic = ANY (my_topics)
    AND NOT EXISTS (SELECT FROM eventlog.positions p
                    WHERE p.group_name = of_group AND p.topic = h.topic AND p.partition = h.partition);

  WITH readers AS (
    SELECT t.topic, m.member,
           row_number() OVER (PARTITION BY t.topic ORDER BY hashtext(m.member::text || t.topic), m.member) - 1 AS rank,
           count(*) OVER (PARTITION BY t.topic) AS readers
    FROM eventlog.members m CROSS JOIN unnest(m.topics) AS t(topic) WHERE m.group_name = of_group
  ), share AS (
    SELECT r.topic, t.partitions / r.readers + (r.rank < t.partitions % r.readers)::int AS partitions
    FROM readers r JOIN eventlog.topics t USING (topic) WHERE r.member = me
  ), held AS (
    SELECT topic, partition, row_number() OVER (PARTITION BY topic ORDER BY partition) AS nth
    FROM eventlog.positions WHERE group_name = of_group AND member = me
  ), surplus AS (
    SELECT h.topic, h.partition FROM held h LEFT JOIN share s USING (topic) WHERE h.nth > coalesce(s.partitions, 0)
  ), abandoned AS (
    SELECT p.topic, p.partition FROM eventlog.positions p
    WHERE p.group_name = of_group AND p.member IS NOT NULL
      AND NOT EXISTS (SELECT FROM eventlog.members m WHERE m.group_name = of_group AND m.member = p.member)
  ), released AS (
    UPDATE eventlog.positions p SET member = NULL
    FROM (SELECT * FROM surplus UNION ALL SELECT * FROM abandoned) r
    WHERE p.group_name = of_group AND p.topic = r.topic AND p.partition = r.partition
    RETURNING p.topic
  ), free AS (
    SELECT topic, partition, row_number() OVER (PARTITION BY topic ORDER BY partition) AS nth
    FROM (SELECT topic, partition FROM eventlog.positions WHERE group_name = of_group AND member IS NULL
          UNION ALL SELECT topic, partition FROM abandoned) f
  ), taken AS (
    SELECT f.topic, f.partition FROM free f JOIN share s USING (topic)
    WHERE f.nth <= s.partitions - (SELECT count(*) FROM held h WHERE h.topic = f.topic)
  )
  SELECT 1;
  RETURN;
END $$;
