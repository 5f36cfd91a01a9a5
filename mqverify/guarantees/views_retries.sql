-- Shared pieces about what is tried again: deliveries, appends, and messages that fail. How pieces are made: views.sql.

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

-- Acknowledged appends that named the revision after which they were to be recorded: a batch in one place, or a message.
-- Where the client does not learn where it was recorded, a reading or a delivery shows it.
CREATE OR REPLACE TEMP TABLE exact_appends AS
SELECT
  run, producer, partition, arg_min(key, actual) AS key, arg_min(sequence, actual) AS sequence,
  arg_min(expected, actual) AS expected, min(actual) AS actual, list(message ORDER BY actual, message) AS messages,
  max(completed_at) AS completed_at
FROM (
  SELECT s.* REPLACE (coalesce(s.actual, m.position) AS actual), s.rowid
  FROM sends AS s JOIN messages AS m USING (run, message)
  WHERE s.outcome = 'acked' AND s.expected IS NOT NULL AND (s.actual IS NOT NULL OR coalesce(s.partition, m.partition) = m.partition)
)
WHERE actual IS NOT NULL
GROUP BY run, producer, incarnation, CASE WHEN batch IS NULL THEN rowid ELSE -1 - batch END, try, partition;

-- ---------------------------------------------------------------------------------------------- who holds up whom

-- The first failure of a message in a group, and where it lay in what the group follows.
CREATE OR REPLACE TEMP TABLE failures AS
SELECT
  run, consumer_group, message, min(ended_at) AS failed_at, arg_min(key, ended_at) AS key,
  arg_min(source, ended_at) AS source, arg_min(source_position, ended_at) AS source_position,
  arg_min(coalesce(shard, -1), ended_at) AS shard
FROM deliveries SEMI JOIN comparable_clocks USING (run)
WHERE result = 'failed' AND message IS NOT NULL
GROUP BY run, consumer_group, message;

-- When a failed message came to its end, and by what. Settled past: by the first settlement after its failure that
-- goes beyond both it and all earlier ones (one that covered it before does not end it: it is tried on).
CREATE OR REPLACE TEMP TABLE troubles AS
WITH below AS (
  SELECT
    run, consumer_group, source, coalesce(shard, -1) AS shard, source_position, invoked_at,
    max(source_position) OVER (
      PARTITION BY run, consumer_group, source, shard ORDER BY invoked_at, source_position
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS so_far
  FROM settlements SEMI JOIN failures USING (run, consumer_group, source)
  WHERE covers = 'below' AND outcome <> 'failed' AND action NOT IN ('retry', 'expire')
),
climbs AS (SELECT * FROM below WHERE so_far IS NULL OR source_position > so_far),
beyond AS (
  SELECT f.run, f.consumer_group, f.message, c.invoked_at
  FROM failures AS f
  ASOF JOIN climbs AS c
    ON c.run = f.run AND c.consumer_group = f.consumer_group AND c.source = f.source AND c.shard = f.shard
    AND f.source_position < c.source_position
),
later AS (
  SELECT f.run, f.consumer_group, f.message, c.invoked_at
  FROM failures AS f
  ASOF JOIN climbs AS c
    ON c.run = f.run AND c.consumer_group = f.consumer_group AND c.source = f.source AND c.shard = f.shard
    AND f.failed_at <= c.invoked_at
),
put_aside AS (
  SELECT run, consumer_group, message, min(invoked_at) AS invoked_at, arg_min(action, invoked_at) AS action
  FROM (
    SELECT s.run, s.consumer_group, s.message, s.invoked_at, s.action
    FROM settlements AS s SEMI JOIN failures USING (run, consumer_group, message)
    WHERE s.covers = 'one' AND s.action IN ('park', 'skip', 'ack') AND s.outcome <> 'failed'
    UNION ALL
    SELECT s.run, s.consumer_group, f.message, s.invoked_at, s.action
    FROM settlements AS s JOIN failures AS f USING (run, consumer_group, source, source_position)
    WHERE s.covers = 'one' AND s.message IS NULL AND s.action IN ('park', 'skip', 'ack') AND s.outcome <> 'failed'
  )
  GROUP BY run, consumer_group, message
),
ends AS (
  SELECT
    f.*, h.handled_at, a.invoked_at AS aside_at, a.action,
    CASE WHEN b.invoked_at IS NOT NULL AND l.invoked_at IS NOT NULL THEN greatest(b.invoked_at, l.invoked_at) END AS passed_at,
    r.ended_at AS run_ended_at
  FROM failures AS f
  JOIN runs AS r USING (run)
  LEFT JOIN handlings AS h USING (run, consumer_group, message)
  LEFT JOIN put_aside AS a USING (run, consumer_group, message)
  LEFT JOIN beyond AS b USING (run, consumer_group, message)
  LEFT JOIN later AS l USING (run, consumer_group, message)
)
SELECT
  row_number() OVER () AS trouble, run, consumer_group, message, key, source, failed_at,
  least(handled_at, aside_at, passed_at, run_ended_at) AS ended_at,
  CASE least(handled_at, aside_at, passed_at, run_ended_at)
    WHEN handled_at THEN 'handled'
    WHEN aside_at THEN CASE action WHEN 'park' THEN 'parked' WHEN 'skip' THEN 'skipped' ELSE 'acknowledged' END
    WHEN passed_at THEN 'settled past'
    ELSE 'run' END AS end_by
FROM ends
WHERE failed_at < least(handled_at, aside_at, passed_at, run_ended_at);

-- Owed messages beside failed ones, from their acknowledgement to their first start; what was never started in a group that
-- drained is lost and does not wait. `fair`: it never failed itself.
CREATE OR REPLACE TEMP TABLE waits AS
WITH sources AS (SELECT DISTINCT run, consumer_group, source FROM troubles),
started AS (
  SELECT run, consumer_group, message, min(started_at) AS started_at
  FROM deliveries SEMI JOIN sources USING (run, consumer_group)
  WHERE started_at IS NOT NULL
  GROUP BY run, consumer_group, message
)
SELECT
  o.run, o.consumer_group, p.source, o.message, o.key, o.acked_at,
  coalesce(s.started_at, r.ended_at + 1) AS started_at, f.message IS NULL AS fair
FROM owed AS o
JOIN (SELECT DISTINCT run, message, source FROM source_positions) AS p USING (run, message)
JOIN runs AS r USING (run)
SEMI JOIN sources USING (run, consumer_group, source)
LEFT JOIN started AS s USING (run, consumer_group, message)
LEFT JOIN failures AS f USING (run, consumer_group, message)
WHERE o.acked_at < coalesce(s.started_at, CASE WHEN NOT o.drained THEN r.ended_at + 1 END);

-- How many of them had been acknowledged, and how many started, at any moment: of all or the fair, of all keys or one that
-- has failures. Who is started was acknowledged before, so the difference of two such counts says how many wait.
CREATE OR REPLACE TEMP TABLE tallies AS
SELECT
  run, consumer_group, source, scope, change, moment,
  count(*) OVER (PARTITION BY run, consumer_group, source, scope, change ORDER BY moment) AS so_far
FROM (
  SELECT run, consumer_group, source, scope, unnest(['acked', 'started']) AS change, unnest([acked_at, started_at]) AS moment
  FROM (
    SELECT run, consumer_group, source, 'all' AS scope, acked_at, started_at FROM waits
    UNION ALL
    SELECT run, consumer_group, source, 'fair', acked_at, started_at FROM waits WHERE fair
    UNION ALL
    SELECT run, consumer_group, source, unnest(CASE WHEN fair THEN ['all ' || key, 'fair ' || key] ELSE ['all ' || key] END),
      acked_at, started_at
    FROM waits SEMI JOIN troubles USING (run, consumer_group, source, key)
  )
);

-- Each failed message, and how many of other keys waited at some time before its end (`others`).
CREATE OR REPLACE TEMP TABLE held_up AS
WITH asked AS (
  SELECT trouble, run, consumer_group, source, 'all' AS scope, 'acked' AS change, ended_at AS moment, 1 AS sign FROM troubles
  UNION ALL
  SELECT trouble, run, consumer_group, source, 'all', 'started', failed_at + 1, -1 FROM troubles
  UNION ALL
  SELECT trouble, run, consumer_group, source, 'all ' || key, 'acked', ended_at, -1 FROM troubles
  UNION ALL
  SELECT trouble, run, consumer_group, source, 'all ' || key, 'started', failed_at + 1, 1 FROM troubles
)
SELECT t.*, coalesce(c.others, 0) AS others
FROM troubles AS t
LEFT JOIN (
  SELECT a.trouble, sum(a.sign * y.so_far) AS others
  FROM asked AS a
  ASOF JOIN tallies AS y
    ON y.run = a.run AND y.consumer_group = a.consumer_group AND y.source = a.source AND y.scope = a.scope
    AND y.change = a.change AND a.moment > y.moment
  GROUP BY a.trouble
) AS c USING (trouble);

-- Stretches longer than MQ135's T, before a failed message's end, in which nothing fair of its source was started.
CREATE OR REPLACE TEMP TABLE lulls AS
WITH wanted AS (
  SELECT run, TRY_CAST(value AS BIGINT) AS within FROM given('no_head_of_line_blocking', 'within')
),
sources AS (
  SELECT DISTINCT t.run, t.consumer_group, t.source, w.within, r.ended_at
  FROM troubles AS t JOIN wanted AS w USING (run) JOIN runs AS r USING (run)
),
starts_of_fair AS (
  SELECT d.run, d.consumer_group, d.source, d.started_at AS moment
  FROM deliveries AS d SEMI JOIN sources AS s USING (run, consumer_group, source)
  ANTI JOIN failures AS f ON f.run = d.run AND f.consumer_group = d.consumer_group AND f.message = d.message
  WHERE d.started_at IS NOT NULL AND d.message IS NOT NULL
  UNION ALL
  SELECT run, consumer_group, source, 0 FROM sources
),
gaps_between AS (
  SELECT
    run, consumer_group, source, moment AS began_at,
    lead(moment) OVER (PARTITION BY run, consumer_group, source ORDER BY moment) AS next_at
  FROM starts_of_fair
),
long AS (
  SELECT g.run, g.consumer_group, g.source, g.began_at, coalesce(g.next_at, s.ended_at) AS next_at, s.within
  FROM gaps_between AS g JOIN sources AS s USING (run, consumer_group, source)
  WHERE coalesce(g.next_at, s.ended_at) - g.began_at > s.within
)
SELECT
  row_number() OVER () AS lull, t.trouble, t.run, t.consumer_group, t.source, t.key, l.within, l.began_at,
  greatest(l.began_at, t.failed_at) AS since, least(l.next_at, t.ended_at) AS until
FROM troubles AS t JOIN long AS l USING (run, consumer_group, source)
WHERE least(l.next_at, t.ended_at) - greatest(l.began_at, t.failed_at) > l.within;

-- Of each failed message the first of these in which a message of another key waited for longer than T, and how many did.
-- Fair ones that wait in a lull do so until its end: counted. Those that fail later are compared one by one.
CREATE OR REPLACE TEMP TABLE blockades AS
WITH asked AS (
  SELECT lull, run, consumer_group, source, 'fair' AS scope, 'acked' AS change, until - within AS moment, 1 AS sign FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, 'fair', 'started', began_at + 1, -1 FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, 'fair ' || key, 'acked', until - within, -1 FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, 'fair ' || key, 'started', began_at + 1, 1 FROM lulls
),
counted AS (
  SELECT a.lull, sum(a.sign * y.so_far) AS waiting
  FROM asked AS a
  ASOF JOIN tallies AS y
    ON y.run = a.run AND y.consumer_group = a.consumer_group AND y.source = a.source AND y.scope = a.scope
    AND y.change = a.change AND a.moment > y.moment
  GROUP BY a.lull
  HAVING sum(a.sign * y.so_far) > 0
),
next_started AS (
  SELECT run, consumer_group, source, started_at, min(message) AS message, arg_min(key, message) AS key, min(acked_at) AS acked_at
  FROM waits
  WHERE fair
  GROUP BY run, consumer_group, source, started_at
),
found AS (
  SELECT
    l.*, c.waiting::BIGINT AS waiting,
    CASE WHEN n.key <> l.key AND n.acked_at < l.until - l.within THEN n.message END AS example
  FROM (SELECT * FROM lulls SEMI JOIN counted USING (lull)) AS l
  JOIN counted AS c USING (lull)
  ASOF LEFT JOIN next_started AS n
    ON n.run = l.run AND n.consumer_group = l.consumer_group AND n.source = l.source AND l.began_at < n.started_at
  UNION ALL
  SELECT l.*, count(*), min(w.message)
  FROM (SELECT * FROM lulls ANTI JOIN counted USING (lull)) AS l
  JOIN waits AS w ON w.run = l.run AND w.consumer_group = l.consumer_group AND w.source = l.source AND w.key <> l.key
  WHERE NOT w.fair AND least(l.until, w.started_at) - greatest(l.since, w.acked_at) > l.within
  GROUP BY ALL
)
SELECT t.*, f.since, f.until, f.waiting, f.example
FROM found AS f JOIN troubles AS t USING (trouble)
QUALIFY row_number() OVER (PARTITION BY f.trouble ORDER BY f.since) = 1;
