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
-- Offset of the oldest event that is kept.
ALTER TABLE eventlog.heads ADD COLUMN IF NOT EXISTS first bigint NOT NULL DEFAULT 0;

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
-- The session over which the member polls: with its end the member is gone, without waiting for the lease.
ALTER TABLE eventlog.members ADD COLUMN IF NOT EXISTS backend int;

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
-- The epoch whose reader has said where it begins.
ALTER TABLE eventlog.positions ADD COLUMN IF NOT EXISTS begun bigint NOT NULL DEFAULT -1;

DO $$ BEGIN
  IF to_regtype('eventlog.event') IS NULL THEN
    CREATE TYPE eventlog.event AS (
      id uuid, type text, key text, subject text, sequence int, time timestamptz, traceparent text, republished boolean, data json);
    -- What poll returned before it knew of bytes. An earlier version that is put back looks for it.
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

-- Appends in the array's order; returns how many.
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

-- How many partitions of each topic a member should read: as many as the others, give or take one.
CREATE OR REPLACE FUNCTION eventlog.fair_share(of_group text, of_member uuid) RETURNS TABLE (topic text, share bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.topic, t.partitions / r.readers + (r.rank < t.partitions % r.readers)::int
  FROM (
    SELECT s.topic, m.member, count(*) OVER (PARTITION BY s.topic) AS readers,
           -- Hashed, so that the same member is not the first, with one partition more, for every topic.
           row_number() OVER (PARTITION BY s.topic ORDER BY hashtext(m.member::text || s.topic), m.member) - 1 AS rank
    FROM eventlog.members m CROSS JOIN unnest(m.topics) AS s(topic)
    WHERE m.group_name = of_group
  ) r
  JOIN eventlog.topics t USING (topic)
  WHERE r.member = of_member
$$;

-- Renews the member's lease, and moves partitions towards an even share: gives up what is too much, takes what is free.
-- To be called only while the member handles nothing. The others are told where there is something new for them.
CREATE OR REPLACE FUNCTION eventlog.balance(of_group text, me uuid, my_topics text[], lease interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  news boolean;
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock(hashtext('eventlog.group'), hashtext(of_group));

  UPDATE eventlog.members SET topics = my_topics, lease_until = clock_timestamp() + lease, backend = pg_backend_pid()
    WHERE group_name = of_group AND member = me;
  news := NOT FOUND;
  IF news THEN
    INSERT INTO eventlog.members VALUES (of_group, me, my_topics, clock_timestamp() + lease, pg_backend_pid());
  END IF;

  DELETE FROM eventlog.members WHERE group_name = of_group
    AND (lease_until < clock_timestamp() OR backend NOT IN (SELECT pid FROM pg_stat_activity));
  UPDATE eventlog.positions p SET member = NULL
    WHERE p.group_name = of_group AND p.member IS NOT NULL
      AND NOT EXISTS (SELECT FROM eventlog.members m WHERE m.group_name = of_group AND m.member = p.member);
  news := news OR FOUND;

  INSERT INTO eventlog.positions (group_name, topic, partition, committed)
    SELECT of_group, h.topic, h.partition, h.first FROM eventlog.heads h
    WHERE h.topic = ANY (my_topics)
      AND NOT EXISTS (SELECT FROM eventlog.positions p
                      WHERE p.group_name = of_group AND p.topic = h.topic AND p.partition = h.partition);

  WITH held AS (
    SELECT topic, partition, row_number() OVER (PARTITION BY topic ORDER BY partition) AS nth
    FROM eventlog.positions WHERE group_name = of_group AND member = me
  )
  UPDATE eventlog.positions p SET member = NULL
    FROM held h LEFT JOIN eventlog.fair_share(of_group, me) s USING (topic)
    WHERE p.group_name = of_group AND p.topic = h.topic AND p.partition = h.partition AND h.nth > coalesce(s.share, 0);
  news := news OR FOUND;

  WITH held AS (
    SELECT topic, count(*) AS partitions FROM eventlog.positions WHERE group_name = of_group AND member = me GROUP BY topic
  ), free AS (
    SELECT topic, partition, row_number() OVER (PARTITION BY topic ORDER BY partition) AS nth
    FROM eventlog.positions WHERE group_name = of_group AND member IS NULL
  )
  UPDATE eventlog.positions p SET member = me, epoch = p.epoch + 1
    FROM free f JOIN eventlog.fair_share(of_group, me) s USING (topic) LEFT JOIN held h USING (topic)
    WHERE p.group_name = of_group AND p.topic = f.topic AND p.partition = f.partition
      AND f.nth <= s.share - coalesce(h.partitions, 0);

  IF news THEN
    PERFORM pg_notify('eventlog.group.' || of_group, me::text);
  END IF;
END $$;

-- Renews the lease of a member that is busy; false where it has run out.
CREATE OR REPLACE FUNCTION eventlog.heartbeat(of_group text, me uuid, lease interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM eventlog.check_group(of_group);
  UPDATE eventlog.members SET lease_until = clock_timestamp() + lease, backend = pg_backend_pid()
    WHERE group_name = of_group AND member = me AND lease_until >= clock_timestamp();
  RETURN FOUND;
END $$;

-- The next events of the member's partitions, one of each partition in turn, of at most so many bytes of data together;
-- `bytes` is the sum so far. Balances first where it is asked to, and where a third of the lease has passed. Partitions
-- that the member must begin to read come alone, each as a row without an event: see start_at.
CREATE OR REPLACE FUNCTION eventlog.poll(
  of_group text, me uuid, my_topics text[], most int, most_bytes bigint, lease interval, rebalance boolean
) RETURNS TABLE (
  topic text, partition int, epoch bigint, "offset" bigint, id uuid, type text, key text, subject text, sequence int,
  "time" timestamptz, traceparent text, republished boolean, data json, bytes bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM eventlog.check_group(of_group);
  IF rebalance OR NOT EXISTS (SELECT FROM eventlog.members WHERE group_name = of_group AND member = me
                                AND backend = pg_backend_pid() AND lease_until > clock_timestamp() + lease * 0.7) THEN
    PERFORM eventlog.balance(of_group, me, my_topics, lease);
  END IF;
  RETURN QUERY
    SELECT p.topic, p.partition, p.epoch, p.committed, NULL::uuid, NULL::text, NULL::text, NULL::text, NULL::int,
           NULL::timestamptz, NULL::text, NULL::boolean, NULL::json, NULL::bigint
    FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
    WHERE p.group_name = of_group AND p.member = me AND (p.begun <> p.epoch OR p.committed < h.first);
  IF FOUND THEN
    RETURN;
  END IF;
  RETURN QUERY
    WITH behind AS MATERIALIZED (
      SELECT p.topic, p.partition, p.epoch, p.committed
      FROM eventlog.positions p JOIN eventlog.heads h USING (topic, partition)
      WHERE p.group_name = of_group AND p.member = me AND h.next > p.committed
    ), found AS (
      SELECT b.epoch, e.*,
             row_number() OVER turns AS nth, sum(octet_length(e.data::text)) OVER turns AS bytes
      FROM behind b CROSS JOIN LATERAL (
        SELECT * FROM eventlog.events e
        WHERE e.topic = b.topic AND e.partition = b.partition AND e."offset" >= b.committed
        ORDER BY e."offset" LIMIT 1 + (most - 1) / (SELECT count(*) FROM behind)
      ) e
      WINDOW turns AS (ORDER BY e."offset" - b.committed, b.topic, b.partition)
    )
    SELECT f.topic, f.partition, f.epoch, f."offset",
           f.id, f.type, f.key, f.subject, f.sequence, f.time, f.traceparent, f.republished, f.data, f.bytes
    FROM found f WHERE f.nth = 1 OR f.bytes <= most_bytes
    ORDER BY f.nth LIMIT most;
END $$;

-- Says where a member begins to read partitions that it was given.
CREATE OR REPLACE FUNCTION eventlog.start_at(of_group text, me uuid, topics text[], partitions int[], epochs bigint[], offsets bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock_shared(hashtext('eventlog.group'), hashtext(of_group));
  UPDATE eventlog.positions p SET committed = s.next, begun = s.epoch
    FROM unnest(topics, partitions, epochs, offsets) AS s(topic, partition, epoch, next)
    WHERE p.group_name = of_group AND p.topic = s.topic AND p.partition = s.partition AND p.member = me AND p.epoch = s.epoch;
END $$;

-- Sets the offsets of the next events to handle; returns for how many partitions. Those that the member no longer reads
-- stay as they are.
CREATE OR REPLACE FUNCTION eventlog.commit(of_group text, me uuid, topics text[], partitions int[], epochs bigint[], offsets bigint[])
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  updated int;
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock_shared(hashtext('eventlog.group'), hashtext(of_group));
  UPDATE eventlog.positions p SET committed = c.next
    FROM unnest(topics, partitions, epochs, offsets) AS c(topic, partition, epoch, next)
    WHERE p.group_name = of_group AND p.topic = c.topic AND p.partition = c.partition AND p.member = me AND p.epoch = c.epoch;
  GET DIAGNOSTICS updated = ROW_COUNT;
  RETURN updated;
END $$;

-- Ends a membership; the partitions are free at once.
CREATE OR REPLACE FUNCTION eventlog.leave(of_group text, me uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock(hashtext('eventlog.group'), hashtext(of_group));
  DELETE FROM eventlog.members WHERE group_name = of_group AND member = me;
  UPDATE eventlog.positions SET member = NULL WHERE group_name = of_group AND member = me;
  PERFORM pg_notify('eventlog.group.' || of_group, me::text);
END $$;

CREATE OR REPLACE FUNCTION eventlog.rewind(of_group text, of_topics text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM eventlog.check_group(of_group);
  PERFORM pg_advisory_xact_lock(hashtext('eventlog.group'), hashtext(of_group));
  IF EXISTS (SELECT FROM eventlog.members WHERE group_name = of_group AND lease_until >= clock_timestamp()) THEN
    RAISE EXCEPTION 'the group % has members: stop them before its offsets are set back', of_group
      USING ERRCODE = 'object_in_use';
  END IF;
  UPDATE eventlog.positions p SET committed = h.first, member = NULL, epoch = p.epoch + 1
    FROM eventlog.heads h
    WHERE p.group_name = of_group AND p.topic = ANY (of_topics) AND h.topic = p.topic AND h.partition = p.partition;
END $$;

-- Removes the events of a topic that are older than they are kept, the oldest first, at most so many of each partition;
-- returns how many. To be called again until there are none. Whoever has not read them yet must find out: see poll.
CREATE OR REPLACE FUNCTION eventlog.trim(of_topic text, keep interval, most int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  head record;
  kept bigint;
  removed bigint := 0;
BEGIN
  PERFORM eventlog.check_publisher(of_topic);
  FOR head IN SELECT h.partition, h.first FROM eventlog.heads h WHERE h.topic = of_topic ORDER BY h.partition LOOP
    SELECT max(o."offset") + 1 INTO kept FROM (
      SELECT e."offset", e.appended_at FROM eventlog.events e
      WHERE e.topic = of_topic AND e.partition = head.partition AND e."offset" >= head.first
      ORDER BY e."offset" LIMIT most
    ) o WHERE o.appended_at < clock_timestamp() - keep;
    CONTINUE WHEN kept IS NULL;
    -- Another replica may be at the same.
    UPDATE eventlog.heads h SET first = kept WHERE h.topic = of_topic AND h.partition = head.partition AND h.first = head.first;
    CONTINUE WHEN NOT FOUND;
    DELETE FROM eventlog.events e
      WHERE e.topic = of_topic AND e.partition = head.partition AND e."offset" >= head.first AND e."offset" < kept;
    removed := removed + kept - head.first;
  END LOOP;
  RETURN removed;
END $$;
