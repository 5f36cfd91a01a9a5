-- Shared pieces about what is tried again: deliveries, and appends. How pieces are made: views.sql.

-- Messages that a group was handed more than once.
CREATE OR REPLACE TEMP TABLE redelivered_messages AS
SELECT run, consumer_group, message, count(*) AS times
FROM deliveries
WHERE attempt = 1 AND message IS NOT NULL
GROUP BY run, consumer_group, message
HAVING count(*) > 1;

-- Messages that their application tried to send more than once.
CREATE OR REPLACE TEMP TABLE tried_again AS
SELECT
  run, message, any_value(key) AS key, any_value(sequence) AS sequence, arg_min(producer, invoked_at) AS producer,
  count(*) AS tries, min(invoked_at) AS first_invoked, max(invoked_at) AS last_invoked
FROM sends
WHERE (run, message) IN (SELECT (run, message) FROM sends WHERE try > 1)
GROUP BY run, message
HAVING count(*) > 1;

-- Where readings of `main` found those, links to them apart. `look`: the reading, or all of the end at once, since one shows
-- what another one does not (`$all` what a stream hides). `of_its_place`: a reading of the place itself.
CREATE OR REPLACE TEMP TABLE stored_copies AS
SELECT
  l.run, l.reading, CASE r.reason WHEN 'end' THEN -1 ELSE l.reading END AS look, l.message, l.partition, l.position,
  l.source IS NOT DISTINCT FROM l.partition AS of_its_place, b.read_at
FROM log AS l
JOIN tried_again AS t USING (run, message)
JOIN readings AS r USING (run, reading)
JOIN (SELECT run, reading, min(read_at) AS read_at FROM bounds WHERE place = 'main' GROUP BY run, reading) AS b
  USING (run, reading)
WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted';

-- ---------------------------------------------------------------------------------------------- exact appends

-- Tries that named the exact revision after which they were to be recorded, and where that puts each message (`due`): those
-- of a batch one behind the other.
CREATE OR REPLACE TEMP TABLE exact_tries AS
SELECT
  s.run, s.message, s.key, s.sequence, s.producer, s.incarnation, s.try, s.outcome, s.expected, s.completed_at,
  coalesce(s.partition, m.partition) AS partition, CASE WHEN s.batch IS NULL THEN s.rowid ELSE -1 - s.batch END AS append,
  s.expected + row_number() OVER (
    PARTITION BY s.run, s.producer, s.incarnation, s.try, coalesce(s.partition, m.partition),
      CASE WHEN s.batch IS NULL THEN s.rowid ELSE -1 - s.batch END
    ORDER BY s.rowid
  ) AS due
FROM sends AS s JOIN messages AS m USING (run, message)
WHERE s.expected IS NOT NULL;

-- Where a stream begins again after it was deleted: it has nothing then, so who expects that appends there.
CREATE OR REPLACE TEMP TABLE begun_again AS
SELECT t.run, t.message, t.partition, TRY_CAST(s.value AS BIGINT) AS due
FROM exact_tries AS t JOIN settings AS s ON s.run = t.run AND s.place = t.partition AND s.since < t.completed_at
WHERE t.expected = -1 AND s.name = 'truncate_before' AND TRY_CAST(s.value AS BIGINT) IS NOT NULL;

-- Every position of its own place at which such a message was ever stored, whoever showed it: the ack, else a reading or a
-- delivery (a client may never learn it). `astray`: no try of it that named a revision belongs there, and all that may have
-- been recorded named one. It was stored under a condition that did not hold, whichever of its tries it was.
CREATE OR REPLACE TEMP TABLE exact_copies AS
WITH shown AS (
  SELECT run, message, partition, coalesce(actual, position) AS position FROM sends WHERE outcome = 'acked'
  UNION
  SELECT run, message, partition, position FROM log WHERE place = 'main' AND visible IS DISTINCT FROM 'uncommitted'
  UNION
  SELECT run, message, partition, position FROM deliveries
)
SELECT
  c.run, c.message, c.partition, c.position,
  (c.run, c.message, c.partition, c.position) NOT IN (
    SELECT (run, message, partition, due) FROM exact_tries WHERE partition IS NOT NULL
  )
  AND (c.run, c.message) NOT IN (SELECT (run, message) FROM sends WHERE expected IS NULL AND outcome <> 'failed')
  AND (c.run, c.message, c.partition, c.position) NOT IN (SELECT (run, message, partition, due) FROM begun_again) AS astray
FROM shown AS c
WHERE c.position IS NOT NULL AND (c.run, c.message, c.partition) IN (SELECT (run, message, partition) FROM exact_tries);

-- Acknowledged appends with an exact revision, where it can be told whether they hold: a batch in one place, or a message.
-- `astray` is the least position at which one of its messages lies, but must not. Else each lies where it belongs; of one
-- that was tried more than once a reading of the end must have seen all from there on, since another copy may lie behind.
CREATE OR REPLACE TEMP TABLE exact_appends AS
WITH lone AS (SELECT run, message FROM sends WHERE outcome <> 'failed' GROUP BY run, message HAVING count(*) = 1),
seen AS (
  SELECT run, partition, min(first_position) AS first_position
  FROM seen_places
  WHERE reason = 'end' AND whole
  GROUP BY run, partition
),
strays AS (
  SELECT run, message, partition, min(position) AS position FROM exact_copies WHERE astray GROUP BY run, message, partition
),
acked AS (
  SELECT
    t.*, a.position AS astray, c.position IS NOT NULL AS in_place,
    c.position IS NOT NULL AND (l.message IS NOT NULL OR coalesce(s.first_position <= t.due, false)) AS settled
  FROM (SELECT * FROM exact_tries WHERE outcome = 'acked') AS t
  LEFT JOIN strays AS a ON a.run = t.run AND a.message = t.message AND a.partition = t.partition
  LEFT JOIN exact_copies AS c
    ON c.run = t.run AND c.message = t.message AND c.partition = t.partition AND c.position = t.due
  LEFT JOIN lone AS l ON l.run = t.run AND l.message = t.message
  LEFT JOIN seen AS s ON s.run = t.run AND s.partition = t.partition
)
SELECT
  run, producer, partition, arg_min(key, due) AS key, arg_min(sequence, due) AS sequence, any_value(expected) AS expected,
  list(message ORDER BY due) AS messages, min(astray) AS astray, arg_min(due, astray) FILTER (astray IS NOT NULL) AS due,
  arg_min(message, astray) FILTER (astray IS NOT NULL) AS stray, arg_min(in_place, astray) FILTER (astray IS NOT NULL) AS in_place,
  max(completed_at) AS completed_at
FROM acked
GROUP BY run, producer, incarnation, append, try, partition
HAVING bool_or(astray IS NOT NULL) OR bool_and(settled);
