-- Shared pieces about what fresh readers found: what is absent, and whether that is legal. How pieces are made: views.sql.

-- One row for each place that a reading of `main` could see. `seen` is whether it read up to the end.
CREATE OR REPLACE TEMP TABLE seen_places AS
SELECT
  b.run, b.reading, b.partition, b.first_position, b.end_position, b.read_to, b.read_at,
  b.read_to >= b.end_position AS whole, r.reader, r.source, r.isolation, r.reason
FROM bounds AS b JOIN readings AS r USING (run, reading)
WHERE b.place = 'main';

-- Each message that a reading of `main` found.
CREATE OR REPLACE TEMP TABLE finds AS
SELECT DISTINCT run, reading, message
FROM log
WHERE place = 'main' AND message IS NOT NULL;

-- The limits that were in force at some time before a reading of a place: the tightest of each. A value set for the place
-- itself stands before one set for all; `unlimited` is no limit.
CREATE OR REPLACE TEMP TABLE limits AS
WITH given AS (
  SELECT run, name, place, since, value, TRY_CAST(value AS BIGINT) AS number
  FROM settings
  WHERE name IN ('retention', 'retention_bytes', 'max_count', 'truncate_before', 'delete_records', 'compaction')
),
in_force AS (
  SELECT *
  FROM given AS g
  WHERE place IS NOT NULL OR (run, name) NOT IN (SELECT (run, name) FROM given WHERE place IS NOT NULL)
  UNION ALL
  SELECT g.run, g.name, own.place, g.since, g.value, g.number
  FROM given AS g
  JOIN (SELECT run, name, place, min(since) AS since FROM given WHERE place IS NOT NULL GROUP BY run, name, place) AS own
    ON own.run = g.run AND own.name = g.name AND g.since < own.since
  WHERE g.place IS NULL
),
-- Where some places have a value of their own, the value for all stands for the others.
others AS (
  SELECT g.run, g.name, s.partition AS place, g.since, g.value, g.number
  FROM given AS g JOIN (SELECT DISTINCT run, partition FROM seen_places) AS s USING (run)
  WHERE g.place IS NULL AND (g.run, g.name) IN (SELECT (run, name) FROM given WHERE place IS NOT NULL)
    AND (g.run, g.name, s.partition) NOT IN (SELECT (run, name, place) FROM given WHERE place IS NOT NULL)
)
SELECT
  s.run, s.reading, s.partition,
  min(f.number) FILTER (f.name = 'retention' AND f.number >= 0) AS retention,
  min(f.number) FILTER (f.name = 'retention_bytes' AND f.number >= 0) AS retention_bytes,
  min(f.number) FILTER (f.name = 'max_count' AND f.number >= 0) AS max_count,
  max(f.number) FILTER (f.name IN ('truncate_before', 'delete_records')) AS truncate_before,
  coalesce(bool_or(f.value IN ('true', 'on', 'compact', 'compact,delete', 'delete,compact')) FILTER (f.name = 'compaction'), false)
    AS compaction
FROM seen_places AS s
LEFT JOIN (SELECT * FROM in_force UNION ALL SELECT * FROM others) AS f
  ON f.run = s.run AND coalesce(f.place, s.partition) = s.partition AND f.since <= s.read_at
GROUP BY s.run, s.reading, s.partition;

-- Readings of places, and from when on each surely shows everything up to where it came (`since`, −1: always; null: nobody can
-- tell). What is removed is removed from the front: it begins at 0, or it shows a message, stored once, that was acknowledged
-- then, where the ack says or before. Compaction removes anywhere, so compacted places have no row.
CREATE OR REPLACE TEMP TABLE shown_since AS
WITH shortened AS (
  SELECT s.run, s.reading, s.partition, min(m.acked_at) AS since
  FROM seen_places AS s SEMI JOIN comparable_clocks USING (run)
  JOIN log AS l
    ON l.run = s.run AND l.reading = s.reading AND l.partition = s.partition AND l.source = s.partition AND l.place = 'main'
  JOIN messages AS m ON m.run = l.run AND m.message = l.message AND m.partition = l.partition
  WHERE s.first_position > 0 AND l.visible IS DISTINCT FROM 'uncommitted' AND m.tries = 1 AND l.position <= m.position
  GROUP BY s.run, s.reading, s.partition
)
SELECT
  s.run, s.reading, s.partition, s.read_at, s.whole, CASE WHEN s.first_position = 0 THEN -1 ELSE c.since END AS since
FROM seen_places AS s
JOIN limits AS f USING (run, reading, partition)
LEFT JOIN shortened AS c USING (run, reading, partition)
WHERE NOT f.compaction;

-- Bytes and messages behind each message, in places that have a limit on them, as each reading could see them. Of positions
-- up to the end that no known message explains (copies that a client wrote again, messages whose position nobody knows, a
-- transaction's markers) each counts as the largest message that may lie there.
CREATE OR REPLACE TEMP TABLE behind AS
WITH largest AS (SELECT run, max(stored_bytes) AS bytes FROM messages WHERE outcome <> 'failed' GROUP BY run),
known AS (
  SELECT
    l.run, l.reading, m.message, greatest(s.end_position - m.position - 1, 0) AS positions, h.bytes AS largest,
    coalesce(sum(coalesce(m.stored_bytes, h.bytes)) OVER later, 0) AS bytes,
    count(*) OVER later AS messages_behind
  FROM limits AS l
  JOIN seen_places AS s USING (run, reading, partition)
  JOIN messages AS m ON m.run = l.run AND m.partition = l.partition AND m.position IS NOT NULL AND m.first_invoked < s.read_at
  JOIN largest AS h ON h.run = l.run
  WHERE l.retention_bytes IS NOT NULL OR l.max_count IS NOT NULL
  WINDOW later AS (
    PARTITION BY l.run, l.reading, l.partition ORDER BY m.position DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  )
)
SELECT
  run, reading, message, bytes + greatest(positions - messages_behind, 0) * coalesce(largest, 0) AS bytes,
  greatest(positions, messages_behind) AS messages_behind
FROM known;

-- Each acked message and each reading after its ack that should show it: what was expected, by place; a message whose
-- place nobody knows is expected of a reading of all places.
CREATE OR REPLACE TEMP VIEW expected AS
SELECT
  s.run, s.reading, s.partition, s.first_position, s.end_position, s.read_to, s.read_at, s.whole, s.isolation,
  m.message, m.key, m.sequence, m.position, m.acked_at, coalesce(m.record_time, m.first_invoked) AS record_time,
  m.first_invoked
FROM seen_places AS s SEMI JOIN comparable_clocks USING (run)
JOIN messages AS m ON m.run = s.run AND m.partition = s.partition
WHERE m.outcome = 'acked' AND m.acked_at < s.read_at
UNION ALL
SELECT
  s.run, s.reading, NULL, NULL, NULL, NULL, s.read_at, s.whole, s.isolation,
  m.message, m.key, m.sequence, NULL, m.acked_at, coalesce(m.record_time, m.first_invoked), m.first_invoked
FROM (
  SELECT run, reading, any_value(isolation) AS isolation, min(read_at) AS read_at, bool_and(whole) AS whole
  FROM seen_places SEMI JOIN comparable_clocks USING (run)
  WHERE source IS NULL
  GROUP BY run, reading
) AS s JOIN messages AS m ON m.run = s.run AND m.partition IS NULL
WHERE m.outcome = 'acked' AND m.acked_at < s.read_at;

-- What was expected of a reading and not found. `standing` is `missing`, `legal` (removed as the settings allow) or `doubt`
-- (it may lie where the reading did not come, or nobody can tell whether its removal was due); `due` is by time alone, and
-- `due_at` is when it became so where nothing else allowed its removal.
-- Where nobody knows a message's position, it lies behind what was acknowledged before it was sent: that is there, so it is not gone.
-- Acked past the end that the broker named, yet found or delivered later: the end was older than the ack, a doubt.
CREATE OR REPLACE TEMP TABLE unfound AS
WITH missed AS (
  SELECT * FROM expected AS e ANTI JOIN finds AS f ON f.run = e.run AND f.reading = e.reading AND f.message = e.message
),
shown_later AS (
  SELECT f.run, f.message, max(s.read_at) AS shown_at
  FROM finds AS f JOIN seen_places AS s USING (run, reading)
  WHERE (f.run, f.message) IN (SELECT (run, message) FROM missed WHERE position >= end_position)
  GROUP BY f.run, f.message
  UNION ALL
  SELECT run, message, max(delivered_at)
  FROM deliveries
  WHERE (run, message) IN (SELECT (run, message) FROM missed WHERE position >= end_position)
  GROUP BY run, message
),
later AS (SELECT run, message, max(shown_at) AS shown_at FROM shown_later GROUP BY run, message),
values_of_keys AS (
  SELECT l.run, l.reading, l.partition, l.key, max(l.position) AS position
  FROM log AS l JOIN limits AS f USING (run, reading, partition)
  WHERE f.compaction AND l.place = 'main'
  GROUP BY l.run, l.reading, l.partition, l.key
),
-- For a message whose place nobody knows, the tightest limits of any place.
widest AS (
  SELECT
    run, reading, partition, retention, retention_bytes, max_count, truncate_before, compaction FROM limits
  UNION ALL
  SELECT
    run, reading, NULL, min(retention), min(retention_bytes), min(max_count), max(truncate_before), bool_or(compaction)
  FROM limits
  GROUP BY run, reading
),
weighed AS (
  SELECT
    m.*, coalesce(m.read_at - m.record_time > f.retention, false) AS due,
    m.record_time + f.retention AS due_at,
    coalesce(
      m.position < f.truncate_before OR b.bytes >= f.retention_bytes OR b.messages_behind >= f.max_count, false
    ) AS due_otherwise,
    coalesce(v.position > m.position, false) AS superseded,
    f.retention_bytes IS NOT NULL OR f.max_count IS NOT NULL OR f.truncate_before IS NOT NULL OR coalesce(f.compaction, false)
      AS other_limits,
    later.shown_at, m.whole AND coalesce(h.since < m.first_invoked, false) AS behind_what_is_there
  FROM missed AS m
  LEFT JOIN shown_since AS h ON h.run = m.run AND h.reading = m.reading AND h.partition = m.partition
  LEFT JOIN widest AS f
    ON f.run = m.run AND f.reading = m.reading AND coalesce(f.partition, -1) = coalesce(m.partition, -1)
  LEFT JOIN behind AS b ON b.run = m.run AND b.reading = m.reading AND b.message = m.message
  LEFT JOIN values_of_keys AS v
    ON v.run = m.run AND v.reading = m.reading AND v.partition = m.partition AND v.key = m.key
  LEFT JOIN later ON later.run = m.run AND later.message = m.message
)
SELECT
  run, reading, partition, message, key, sequence, position, acked_at, read_at, first_position, end_position, due,
  CASE WHEN due AND NOT due_otherwise AND NOT superseded AND (position IS NOT NULL OR NOT other_limits) THEN due_at END AS due_at,
  CASE
    WHEN position IS NULL AND behind_what_is_there THEN 'missing'
    WHEN position IS NULL THEN CASE WHEN NOT whole OR due OR other_limits THEN 'doubt' ELSE 'missing' END
    WHEN superseded OR (position < first_position AND (due OR due_otherwise)) THEN 'legal'
    WHEN position >= read_to AND position < end_position THEN 'doubt'
    WHEN position >= end_position AND (coalesce(shown_at > read_at, false) OR coalesce(isolation = 'read_committed', false))
      THEN 'doubt'
    ELSE 'missing'
  END AS standing
FROM weighed;

-- Messages that were legally gone at some reading, by their age or otherwise (a limit, an administrator), and the last
-- reading of their place that still found them (null: none did). Only what happened after that one is excused by their
-- absence, and only what happened from `due_at` on, where nothing but their age allowed it when they were gone first. Readings
-- of other sources do not count: `$all` shows what a stream does not any more.
CREATE OR REPLACE TEMP TABLE expired AS
SELECT
  u.run, u.message, any_value(f.read_at) AS last_found_at, min(u.read_at) AS gone_at, bool_or(u.due) AS by_age,
  arg_min_null(u.due_at, u.read_at) AS due_at
FROM unfound AS u
LEFT JOIN (
  SELECT f.run, f.message, max(s.read_at) AS read_at
  FROM finds AS f
  JOIN seen_places AS s USING (run, reading)
  JOIN messages AS m ON m.run = f.run AND m.message = f.message AND coalesce(m.partition, s.partition) = s.partition
  WHERE (f.run, f.message) IN (SELECT (run, message) FROM unfound)
  GROUP BY f.run, f.message
) AS f USING (run, message)
WHERE u.standing = 'legal' OR (u.standing = 'doubt' AND u.due)
GROUP BY u.run, u.message;

-- Unclean elections of leaders, by place (null: of any) and when (null: nobody can tell). Where none can be observed (on a real
-- cluster that was not started for the run), settings that allow one stand for it.
CREATE OR REPLACE TEMP TABLE unclean_elections AS
SELECT f.run, f.began_at, p.id AS partition
FROM faults AS f LEFT JOIN places AS p ON p.run = f.run AND p.name = f.target
WHERE f.kind = 'unclean_election' AND f.took_effect AND f.began_at IS NOT NULL
UNION ALL
SELECT s.run, NULL, s.place
FROM settings AS s JOIN runs AS r USING (run)
WHERE s.name IN (
    'unclean_leader_election_enable', 'unclean.leader.election.enable', 'topic.unclean.leader.election.enable'
  )
  AND lower(s.value) = 'true' AND r.world <> 'simulated'
  AND s.run NOT IN (SELECT run FROM settings WHERE name = 'unclean_elections' AND value = 'observed');

-- ---------------------------------------------------------------------------------------------- the readings of the end

-- The kinds of reader (`partition`, `stream`, `category`, `all` …) that read at the end, and whether they read what the
-- subscriptions read; if no kind is known to, every one counts.
CREATE OR REPLACE TEMP TABLE end_readers AS
WITH kinds AS (
  SELECT
    run, reader,
    bool_or((run, partition) IN (SELECT (run, source) FROM assignments)) AS subscribed,
    bool_or(isolation = 'read_committed') AS committed
  FROM seen_places
  WHERE reason = 'end'
  GROUP BY run, reader
)
SELECT run, reader, committed, subscribed OR NOT bool_or(subscribed) OVER (PARTITION BY run) AS subscribed
FROM kinds;

-- The places that those readings saw; where they were made at two isolation levels, the committed one.
CREATE OR REPLACE TEMP TABLE end_places AS
SELECT s.*, e.subscribed
FROM seen_places AS s JOIN end_readers AS e USING (run, reader)
WHERE s.reason = 'end' AND (NOT coalesce(e.committed, false) OR s.isolation = 'read_committed');

-- What they found, each occurrence.
CREATE OR REPLACE TEMP TABLE end_log AS
SELECT l.run, r.reader, r.subscribed, l.message, l.partition, l.position, l.source, l.source_position
FROM log AS l JOIN (SELECT DISTINCT run, reading, reader, subscribed FROM end_places) AS r USING (run, reading)
WHERE l.place = 'main' AND l.message IS NOT NULL AND coalesce(l.visible, 'committed') = 'committed';

-- Every acked message and every kind of reader at the end: whether it found it, and whether it came where it should lie.
CREATE OR REPLACE TEMP TABLE ending AS
WITH everywhere AS (
  SELECT
    run, reader, any_value(subscribed) AS subscribed, bool_and(whole) AS whole, min(read_at) AS read_at,
    bool_or(source IS NOT NULL) AS shows_all
  FROM end_places
  GROUP BY run, reader
),
found AS (SELECT DISTINCT run, reader, message FROM end_log)
SELECT
  e.run, e.reader, e.subscribed, m.message, m.key, m.sequence, m.partition, m.position, m.acked_at, e.read_at,
  f.message IS NOT NULL AS found,
  CASE
    WHEN e.shows_all OR m.partition IS NULL THEN e.whole
    WHEN p.run IS NULL THEN false
    ELSE coalesce(p.whole OR m.position < p.read_to OR m.position >= p.end_position, false)
  END AS decided,
  p.first_position
FROM everywhere AS e
JOIN messages AS m USING (run)
LEFT JOIN end_places AS p ON p.run = e.run AND p.reader = e.reader AND p.partition = m.partition
LEFT JOIN found AS f ON f.run = e.run AND f.reader = e.reader AND f.message = m.message
WHERE m.outcome = 'acked' AND m.acked_at < e.read_at;
