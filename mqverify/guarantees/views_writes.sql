-- Shared pieces of MQ116, MQ123 and MQ125: how messages lie where they are stored. How pieces are made: views.sql.

-- Of each message that a reading of its own place found there (not by links, nor aborted): the first {position} of it, who
-- sent it when, and `certain`: nothing can have lain before that the reading could not see.
CREATE OR REPLACE TEMP TABLE first_copies AS
WITH lying AS (
  SELECT run, reading, partition, message, min(position) AS position
  FROM log
  WHERE place = 'main' AND message IS NOT NULL AND source IS NOT DISTINCT FROM partition AND visible IS DISTINCT FROM 'uncommitted'
  GROUP BY run, reading, partition, message
)
SELECT
  l.run, l.reading, l.partition, l.message, l.position, m.key, m.sequence, m.producer, m.first_invoked, m.acked_invoked, w.read_at,
  coalesce(w.since < m.first_invoked, false) AS certain
FROM lying AS l
JOIN messages AS m USING (run, message)
LEFT JOIN shown_since AS w ON w.run = l.run AND w.reading = l.reading AND w.partition = l.partition;

-- Those of a key and producer of which one was first tried before the one just before it; elsewhere none lies behind what
-- was sent after it. `sent_before_it`: the latest first try of those that lie before it.
CREATE OR REPLACE TEMP TABLE jumbled_copies AS
WITH jumbled AS (
  SELECT DISTINCT run, reading, partition, key, producer
  FROM (
    SELECT
      run, reading, partition, key, producer, first_invoked,
      lag(first_invoked) OVER (PARTITION BY run, reading, partition, key, producer ORDER BY position) AS before_it
    FROM first_copies
  )
  WHERE first_invoked < before_it
)
SELECT
  *, max(first_invoked) OVER (
    PARTITION BY run, reading, partition, key, producer ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS sent_before_it
FROM first_copies SEMI JOIN jumbled USING (run, reading, partition, key, producer);

-- Messages that readings found in more than one {position} of where messages lie, with the first two. `look`: one reading, or
-- all of the end at once, since one shows what another one does not.
CREATE OR REPLACE TEMP TABLE stored_twice AS
WITH looks AS (
  SELECT r.run, r.reading, CASE r.reason WHEN 'end' THEN -1 ELSE r.reading END AS look, min(b.read_at) AS read_at
  FROM readings AS r JOIN bounds AS b USING (run, reading)
  WHERE b.place = 'main'
  GROUP BY r.run, r.reading, r.reason
),
found AS (
  SELECT l.run, k.look, l.message, l.partition, l.position, k.read_at
  FROM log AS l JOIN looks AS k USING (run, reading)
  WHERE l.place = 'main' AND l.message IS NOT NULL AND l.visible IS DISTINCT FROM 'uncommitted'
),
several AS (
  SELECT run, look, message, min(read_at) AS read_at
  FROM found
  GROUP BY run, look, message
  HAVING min(position) <> max(position) OR min(partition) <> max(partition)
)
SELECT run, message, read_at, spots, len(spots) AS times
FROM (
  SELECT
    s.run, s.look, s.message, s.read_at, list_sort(list(DISTINCT (f.partition, f.position))) AS spots
  FROM several AS s JOIN found AS f USING (run, look, message)
  GROUP BY s.run, s.look, s.message, s.read_at
)
QUALIFY row_number() OVER (PARTITION BY run, message ORDER BY read_at, look) = 1;

-- Readings, and from when on all their places together surely show everything: null if one does not.
CREATE OR REPLACE TEMP TABLE all_shown_since AS
SELECT
  s.run, s.reading, CASE WHEN bool_and(s.whole AND w.since IS NOT NULL) THEN max(w.since) END AS since
FROM seen_places AS s LEFT JOIN shown_since AS w USING (run, reading, partition)
GROUP BY s.run, s.reading;

-- ---------------------------------------------------------------------------------------------- positions

-- Who saw a message at a {position} of the place it lies in: acks, deliveries, readings of `main` (aborted ones have a
-- position, too). What several tries or attempts of one saw is one sight. `seen_from`: not before it can it have lain there.
CREATE OR REPLACE TEMP VIEW sights AS
SELECT
  run, partition, position, message, 'ack' AS seen_by, quoted(arg_min(producer, completed_at)) AS who,
  NULL::BIGINT AS seen_from, min(completed_at) AS seen_at
FROM sends
WHERE outcome = 'acked' AND partition IS NOT NULL AND position IS NOT NULL
GROUP BY run, partition, position, message
UNION ALL
SELECT run, partition, position, message, 'delivery', who(consumer, incarnation), NULL, delivered_at
FROM deliveries
WHERE attempt = 1 AND message IS NOT NULL AND partition IS NOT NULL AND position IS NOT NULL
UNION ALL
SELECT l.run, l.partition, l.position, l.message, 'reading', 'a fresh reader', b.read_at, b.read_at
FROM log AS l
JOIN (SELECT run, reading, min(read_at) AS read_at FROM bounds WHERE place = 'main' GROUP BY run, reading) AS b USING (run, reading)
WHERE l.place = 'main' AND l.message IS NOT NULL;

-- Positions that were seen more than once, and whether always with the same message.
CREATE OR REPLACE TEMP TABLE seen_again AS
SELECT run, partition, position, min(message) <> max(message) AS differs
FROM (
  SELECT run, partition, position, message, true AS by_ack FROM sends WHERE outcome = 'acked'
  UNION ALL
  SELECT run, partition, position, message, false FROM deliveries WHERE attempt = 1
  UNION ALL
  SELECT run, partition, position, message, false FROM log WHERE place = 'main'
)
WHERE message IS NOT NULL AND partition IS NOT NULL AND position IS NOT NULL
GROUP BY run, partition, position
HAVING min(message) <> max(message) OR count(*) FILTER (NOT by_ack) + bool_or(by_ack)::INT > 1;

-- Of those that differ: the first two sights of different messages between which no unclean election can lie.
CREATE OR REPLACE TEMP TABLE conflicts AS
WITH seen AS (
  SELECT
    s.run, s.partition, s.position, s.message, s.seen_by, s.who, s.seen_at,
    coalesce(s.seen_from, m.first_invoked, s.seen_at) AS seen_from, p.name AS place_name
  FROM sights AS s
  JOIN (SELECT run, partition, position FROM seen_again WHERE differs) AS d USING (run, partition, position)
  LEFT JOIN messages AS m ON m.run = s.run AND m.message = s.message
  LEFT JOIN places AS p ON p.run = s.run AND p.id = s.partition
  QUALIFY row_number() OVER (
    PARTITION BY s.run, s.partition, s.position, s.message, s.seen_by, CASE s.seen_by WHEN 'reading' THEN s.seen_at END
    ORDER BY s.seen_at, s.who
  ) = 1
),
pairs AS (
  SELECT
    a.run, a.partition, a.position, a.place_name, a.message, a.seen_by, a.who, a.seen_at, b.message AS other,
    b.seen_by AS other_seen_by, b.who AS other_who, b.seen_at AS other_seen_at,
    least(a.seen_from, b.seen_from) AS since, greatest(a.seen_at, b.seen_at) AS until
  FROM seen AS a
  JOIN seen AS b
    ON b.run = a.run AND b.partition = a.partition AND b.position = a.position AND b.message <> a.message
    AND (a.seen_at, a.message) < (b.seen_at, b.message)
)
SELECT p.*
FROM pairs AS p
ANTI JOIN unclean_elections AS e
  ON e.run = p.run AND coalesce(e.partition, p.partition) = p.partition
  AND coalesce(e.began_at, p.since) BETWEEN p.since AND p.until
QUALIFY row_number() OVER (
  PARTITION BY p.run, p.partition, p.position ORDER BY p.until, p.seen_at, p.message, p.other
) = 1;
