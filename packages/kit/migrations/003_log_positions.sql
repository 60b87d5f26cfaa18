-- How far this database is in each partition of an event log: written with what the events did, so that a database that was
-- restored to an earlier point knows what it lacks, whatever its consumer group has committed meanwhile.
CREATE TABLE log_positions (
  log       text NOT NULL,
  topic     text NOT NULL,
  partition int NOT NULL,
  next      bigint NOT NULL, -- offset of the first event that was not handled
  PRIMARY KEY (log, topic, partition)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50);

-- A database that is new has handled nothing, and says so by a row without a log: what has no position stands at the
-- beginning. One that was there before this table goes on where its group stands.
INSERT INTO log_positions
  SELECT '', '', 0, 0 WHERE NOT EXISTS (SELECT FROM migrations WHERE name NOT LIKE 'kit/%');

GRANT SELECT, INSERT, UPDATE, DELETE ON log_positions TO :"role";
