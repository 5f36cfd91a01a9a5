-- Shared pieces of MQ135: who holds up whom. How pieces are made: views.sql.
--
-- What a failed message may hold up is what its group takes along the same way: a source, or a shard of it (-1: all of it).

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
  row_number() OVER () AS trouble, run, consumer_group, message, key, source, shard, failed_at,
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
WITH lanes_in_trouble AS (SELECT DISTINCT run, consumer_group, source, shard FROM troubles),
started AS (
  SELECT run, consumer_group, message, min(started_at) AS started_at
  FROM deliveries SEMI JOIN lanes_in_trouble USING (run, consumer_group)
  WHERE started_at IS NOT NULL
  GROUP BY run, consumer_group, message
)
SELECT
  o.run, o.consumer_group, p.source, t.shard, o.message, o.key, o.acked_at,
  coalesce(s.started_at, r.ended_at + 1) AS started_at, f.message IS NULL AS fair
FROM owed AS o
JOIN (SELECT DISTINCT run, message, source FROM source_positions) AS p USING (run, message)
JOIN runs AS r USING (run)
LEFT JOIN shards AS h ON h.run = o.run AND h.consumer_group = o.consumer_group AND h.key = o.key
JOIN lanes_in_trouble AS t
  ON t.run = o.run AND t.consumer_group = o.consumer_group AND t.source = p.source AND t.shard = coalesce(h.shard, -1)
LEFT JOIN started AS s ON s.run = o.run AND s.consumer_group = o.consumer_group AND s.message = o.message
LEFT JOIN failures AS f ON f.run = o.run AND f.consumer_group = o.consumer_group AND f.message = o.message
WHERE o.acked_at < coalesce(s.started_at, CASE WHEN NOT o.drained THEN r.ended_at + 1 END);

-- How many of them had been acknowledged, and how many started, at any moment: of all or the fair, of all keys or one that
-- has failures. Who is started was acknowledged before, so the difference of two such counts says how many wait.
CREATE OR REPLACE TEMP TABLE tallies AS
SELECT
  run, consumer_group, source, shard, scope, change, moment,
  count(*) OVER (PARTITION BY run, consumer_group, source, shard, scope, change ORDER BY moment) AS so_far
FROM (
  SELECT run, consumer_group, source, shard, scope, unnest(['acked', 'started']) AS change, unnest([acked_at, started_at]) AS moment
  FROM (
    SELECT run, consumer_group, source, shard, 'all' AS scope, acked_at, started_at FROM waits
    UNION ALL
    SELECT run, consumer_group, source, shard, 'fair', acked_at, started_at FROM waits WHERE fair
    UNION ALL
    SELECT run, consumer_group, source, shard, unnest(CASE WHEN fair THEN ['all ' || key, 'fair ' || key] ELSE ['all ' || key] END),
      acked_at, started_at
    FROM waits SEMI JOIN troubles USING (run, consumer_group, source, shard, key)
  )
);

-- Each failed message, and how many of other keys waited at some time before its end (`others`). Where the run ended first,
-- they had to wait early enough for longer than MQ135's T to have passed: else its end came before anything was shown.
CREATE OR REPLACE TEMP TABLE held_up AS
WITH lasting AS (
  SELECT t.*, CASE WHEN t.end_by = 'run' THEN t.ended_at - TRY_CAST(g.value AS BIGINT) ELSE t.ended_at END AS acked_by
  FROM troubles AS t JOIN given('no_head_of_line_blocking', 'within') AS g USING (run)
),
in_time AS (SELECT * FROM lasting WHERE acked_by > failed_at),
asked AS (
  SELECT trouble, run, consumer_group, source, shard, 'all' AS scope, 'acked' AS change, acked_by AS moment, 1 AS sign FROM in_time
  UNION ALL
  SELECT trouble, run, consumer_group, source, shard, 'all', 'started', failed_at + 1, -1 FROM in_time
  UNION ALL
  SELECT trouble, run, consumer_group, source, shard, 'all ' || key, 'acked', acked_by, -1 FROM in_time
  UNION ALL
  SELECT trouble, run, consumer_group, source, shard, 'all ' || key, 'started', failed_at + 1, 1 FROM in_time
)
SELECT t.*, coalesce(c.others, 0) AS others
FROM troubles AS t
LEFT JOIN (
  SELECT a.trouble, sum(a.sign * y.so_far) AS others
  FROM asked AS a
  ASOF JOIN tallies AS y
    ON y.run = a.run AND y.consumer_group = a.consumer_group AND y.source = a.source AND y.shard = a.shard
    AND y.scope = a.scope AND y.change = a.change AND a.moment > y.moment
  GROUP BY a.trouble
) AS c USING (trouble);

-- Stretches longer than MQ135's T, before a failed message's end, in which nothing fair of its source or shard was started.
CREATE OR REPLACE TEMP TABLE lulls AS
WITH wanted AS (
  SELECT run, TRY_CAST(value AS BIGINT) AS within FROM given('no_head_of_line_blocking', 'within')
),
lanes_in_trouble AS (
  SELECT DISTINCT t.run, t.consumer_group, t.source, t.shard, w.within, r.ended_at
  FROM troubles AS t JOIN wanted AS w USING (run) JOIN runs AS r USING (run)
),
starts_of_fair AS (
  SELECT d.run, d.consumer_group, d.source, coalesce(d.shard, -1) AS shard, d.started_at AS moment
  FROM deliveries AS d SEMI JOIN lanes_in_trouble AS s USING (run, consumer_group, source)
  ANTI JOIN failures AS f ON f.run = d.run AND f.consumer_group = d.consumer_group AND f.message = d.message
  WHERE d.started_at IS NOT NULL AND d.message IS NOT NULL
  UNION ALL
  SELECT run, consumer_group, source, shard, 0 FROM lanes_in_trouble
),
gaps_between AS (
  SELECT
    run, consumer_group, source, shard, moment AS began_at,
    lead(moment) OVER (PARTITION BY run, consumer_group, source, shard ORDER BY moment) AS next_at
  FROM starts_of_fair
),
long AS (
  SELECT g.run, g.consumer_group, g.source, g.shard, g.began_at, coalesce(g.next_at, s.ended_at) AS next_at, s.within
  FROM gaps_between AS g JOIN lanes_in_trouble AS s USING (run, consumer_group, source, shard)
  WHERE coalesce(g.next_at, s.ended_at) - g.began_at > s.within
)
SELECT
  row_number() OVER () AS lull, t.trouble, t.run, t.consumer_group, t.source, t.shard, t.key, l.within, l.began_at,
  greatest(l.began_at, t.failed_at) AS since, least(l.next_at, t.ended_at) AS until
FROM troubles AS t JOIN long AS l USING (run, consumer_group, source, shard)
WHERE least(l.next_at, t.ended_at) - greatest(l.began_at, t.failed_at) > l.within;

-- Of each failed message the first of these in which a message of another key waited for longer than T, and how many did.
-- Fair ones that wait in a lull do so until its end: counted. Those that fail later are compared one by one.
CREATE OR REPLACE TEMP TABLE blockades AS
WITH asked AS (
  SELECT lull, run, consumer_group, source, shard, 'fair' AS scope, 'acked' AS change, until - within AS moment, 1 AS sign
  FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, shard, 'fair', 'started', began_at + 1, -1 FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, shard, 'fair ' || key, 'acked', until - within, -1 FROM lulls
  UNION ALL
  SELECT lull, run, consumer_group, source, shard, 'fair ' || key, 'started', began_at + 1, 1 FROM lulls
),
counted AS (
  SELECT a.lull, sum(a.sign * y.so_far) AS waiting
  FROM asked AS a
  ASOF JOIN tallies AS y
    ON y.run = a.run AND y.consumer_group = a.consumer_group AND y.source = a.source AND y.shard = a.shard
    AND y.scope = a.scope AND y.change = a.change AND a.moment > y.moment
  GROUP BY a.lull
  HAVING sum(a.sign * y.so_far) > 0
),
next_started AS (
  SELECT
    run, consumer_group, source, shard, started_at, min(message) AS message, arg_min(key, message) AS key, min(acked_at) AS acked_at
  FROM waits
  WHERE fair
  GROUP BY run, consumer_group, source, shard, started_at
),
found AS (
  SELECT
    l.*, c.waiting::BIGINT AS waiting,
    CASE WHEN n.key <> l.key AND n.acked_at < l.until - l.within THEN n.message END AS example
  FROM (SELECT * FROM lulls SEMI JOIN counted USING (lull)) AS l
  JOIN counted AS c USING (lull)
  ASOF LEFT JOIN next_started AS n
    ON n.run = l.run AND n.consumer_group = l.consumer_group AND n.source = l.source AND n.shard = l.shard
    AND l.began_at < n.started_at
  UNION ALL
  SELECT l.*, count(*), min(w.message)
  FROM (SELECT * FROM lulls ANTI JOIN counted USING (lull)) AS l
  JOIN waits AS w
    ON w.run = l.run AND w.consumer_group = l.consumer_group AND w.source = l.source AND w.shard = l.shard AND w.key <> l.key
  WHERE NOT w.fair AND least(l.until, w.started_at) - greatest(l.since, w.acked_at) > l.within
  GROUP BY ALL
)
SELECT t.*, f.since, f.until, f.waiting, f.example
FROM found AS f JOIN troubles AS t USING (trouble)
QUALIFY row_number() OVER (PARTITION BY f.trouble ORDER BY f.since) = 1;
