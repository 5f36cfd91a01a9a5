-- Shared pieces of MQ134 and MQ151: what faults leave behind, and for how long. How pieces are made: views.sql.
-- `tenures`: views_order.sql.

-- ---------------------------------------------------------------------------------------------- recovery

-- Runs whose faults have ended, when the last one did, and MQ134's parameters.
CREATE OR REPLACE TEMP TABLE healed AS
WITH wanted AS (
  SELECT
    r.run, r.ended_at, max(TRY_CAST(p.value AS BIGINT)) FILTER (p.name = 'within') AS within,
    max(TRY_CAST(p.value AS BIGINT)) FILTER (p.name = 'drain') AS drain
  FROM runs AS r SEMI JOIN comparable_clocks USING (run) JOIN parameters AS p USING (scenario)
  WHERE p.guarantee = 'recovery'
  GROUP BY r.run, r.ended_at
)
SELECT w.*, max(f.ended_at) AS healed_at
FROM wanted AS w JOIN faults AS f USING (run)
WHERE f.began_at IS NOT NULL
GROUP BY ALL
HAVING bool_and(f.ended_at IS NOT NULL);

-- Groups of theirs with a consumer alive then, and whether one still (or again) is when the time is up, or the run.
CREATE OR REPLACE TEMP TABLE survivors AS
SELECT
  h.*, w.consumer_group,
  bool_or(w.began_at <= h.healed_at + h.within AND (w.ended_at IS NULL OR w.ended_at >= least(h.healed_at + h.within, h.ended_at)))
    AS alive_within,
  bool_or(w.began_at <= h.healed_at + h.drain AND (w.ended_at IS NULL OR w.ended_at >= least(h.healed_at + h.drain, h.ended_at)))
    AS alive_drain
FROM healed AS h JOIN workers AS w USING (run)
WHERE w.kind = 'consumer'
GROUP BY ALL
HAVING bool_or(w.began_at <= h.healed_at AND (w.ended_at IS NULL OR w.ended_at > h.healed_at));

-- What these groups were owed then, and where it lay in what they follow. `waits`: not lost, which what a drained group never
-- handled is; that one nobody can be waited for to take up.
CREATE OR REPLACE TEMP TABLE debts AS
WITH unhandled AS (
  SELECT
    s.*, o.message, o.key, o.sequence, o.acked_at, o.handled_at, o.drained, o.handled_at IS NOT NULL OR NOT o.drained AS waits
  FROM owed AS o JOIN survivors AS s USING (run, consumer_group)
  WHERE o.acked_at <= s.healed_at AND (o.handled_at IS NULL OR o.handled_at > s.healed_at) AND NOT o.is_parked AND NOT o.in_doubt
),
lying AS (
  SELECT u.run, u.consumer_group, u.message, min(p.source) AS source
  FROM (SELECT DISTINCT run, consumer_group, message FROM unhandled) AS u
  JOIN source_positions AS p USING (run, message)
  SEMI JOIN assignments AS a ON a.run = u.run AND a.consumer_group = u.consumer_group AND a.source = p.source
  GROUP BY u.run, u.consumer_group, u.message
)
SELECT u.*, l.source, coalesce(h.shard, -1) AS shard
FROM unhandled AS u
LEFT JOIN lying AS l USING (run, consumer_group, message)
LEFT JOIN shards AS h ON h.run = u.run AND h.consumer_group = u.consumer_group AND h.key = u.key;

-- When a group with debts (`source` null), and each source of it or shard of one, first moved: a handling started or ended, or
-- one that was in hand then ended well, whenever that was.
CREATE OR REPLACE TEMP TABLE stirrings AS
WITH moved AS (
  SELECT
    d.run, d.consumer_group, d.source, coalesce(d.shard, -1) AS shard,
    min(CASE
      WHEN d.started_at > s.healed_at THEN d.started_at WHEN d.result = 'handled' THEN s.healed_at ELSE d.ended_at END) AS moved_at
  FROM deliveries AS d JOIN survivors AS s USING (run, consumer_group)
  WHERE d.started_at > s.healed_at OR d.ended_at > s.healed_at
  GROUP BY d.run, d.consumer_group, d.source, coalesce(d.shard, -1)
),
indebted AS (
  SELECT run, consumer_group, NULL::BIGINT AS source, -1 AS shard, count(*) AS waiting, arg_min(message, acked_at, 2) AS examples
  FROM debts
  WHERE waits
  GROUP BY run, consumer_group
  UNION ALL
  SELECT run, consumer_group, source, shard, count(*), arg_min(message, acked_at, 2)
  FROM debts
  WHERE waits AND source IS NOT NULL
  GROUP BY run, consumer_group, source, shard
)
SELECT
  s.*, i.source, i.shard, i.waiting, i.examples, m.moved_at,
  coalesce(m.moved_at <= s.healed_at + s.within, false) AS in_time,
  coalesce(m.moved_at <= s.healed_at + s.within, false) OR (s.ended_at >= s.healed_at + s.within AND s.alive_within) AS decided
FROM indebted AS i
JOIN survivors AS s USING (run, consumer_group)
LEFT JOIN (
  SELECT * FROM moved UNION ALL SELECT run, consumer_group, NULL, -1, min(moved_at) FROM moved GROUP BY run, consumer_group
) AS m
  ON m.run = i.run AND m.consumer_group = i.consumer_group AND m.source IS NOT DISTINCT FROM i.source AND m.shard = i.shard;

-- The debts with what came of them: `remains` after `drain` (null: the run ended before anybody could tell).
CREATE OR REPLACE TEMP TABLE dues AS
SELECT
  d.*, coalesce(g.decided, true) AND coalesce(l.decided, true) AS moving_decided,
  CASE
    WHEN d.handled_at <= d.healed_at + d.drain THEN false
    WHEN d.alive_drain AND (d.ended_at >= d.healed_at + d.drain OR (d.handled_at IS NULL AND d.drained)) THEN true
  END AS remains
FROM debts AS d
LEFT JOIN stirrings AS g ON g.run = d.run AND g.consumer_group = d.consumer_group AND g.source IS NULL
LEFT JOIN stirrings AS l
  ON l.run = d.run AND l.consumer_group = d.consumer_group AND l.source = d.source AND l.shard = d.shard;

-- ---------------------------------------------------------------------------------------------- latency

-- Of each group, where MQ151 is asked for what is outside of faults: from a fault's beginning to when its debts were cleared.
-- A fault lasts until it has ended and whom it took from their sources, or sources from whom, have found together again.
-- `cleared_at` is the latest so far, so one ASOF join tells whether a message was under way in any.
CREATE OR REPLACE TEMP TABLE disturbances AS
WITH asked AS (
  SELECT r.run, r.ended_at
  FROM runs AS r SEMI JOIN comparable_clocks USING (run) JOIN given('latency', 'outside_faults') AS g USING (run)
  WHERE g.value = 'true'
),
held AS (
  SELECT
    h.run, h.consumer_group, h.source, h.consumer, h.incarnation, h.began_at, coalesce(h.done_at, h.ended_at) AS done_at,
    h.ended_at, a.ended_at AS run_ended_at, g.delivery = 'exclusive' AS exclusive
  FROM tenures AS h JOIN asked AS a USING (run) JOIN groups AS g USING (run, consumer_group)
),
sources_free AS (
  SELECT
    run, consumer_group, began_at, done_at,
    max(ended_at) OVER (
      PARTITION BY run, consumer_group, source ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS free_from
  FROM held
  WHERE exclusive
),
consumers_free AS (
  SELECT
    h.run, h.consumer_group, h.began_at, h.done_at,
    coalesce(max(h.ended_at) OVER (
      PARTITION BY h.run, h.consumer_group, h.consumer, h.incarnation ORDER BY h.began_at
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), w.began_at) AS free_from
  FROM held AS h JOIN workers AS w ON w.run = h.run AND w.worker = h.consumer AND w.incarnation = h.incarnation
),
stretches AS (
  SELECT g.run, g.consumer_group, f.began_at, coalesce(f.ended_at, a.ended_at) AS ended_at, f.began_at AS struck_at
  FROM faults AS f JOIN asked AS a USING (run) JOIN groups AS g USING (run)
  WHERE f.began_at IS NOT NULL
  UNION ALL
  SELECT run, consumer_group, free_from, done_at, NULL FROM sources_free WHERE began_at > free_from
  UNION ALL
  SELECT run, consumer_group, free_from, done_at, NULL FROM consumers_free WHERE began_at > free_from
  UNION ALL
  SELECT run, consumer_group, max(ended_at), any_value(run_ended_at), NULL
  FROM held
  WHERE exclusive
  GROUP BY run, consumer_group, source
  HAVING max(ended_at) < any_value(run_ended_at)
),
numbered AS (
  SELECT *, count(*) FILTER (reached IS NULL OR began_at > reached) OVER (
    PARTITION BY run, consumer_group ORDER BY began_at, ended_at ROWS UNBOUNDED PRECEDING) AS island
  FROM (
    SELECT *, max(ended_at) OVER (
      PARTITION BY run, consumer_group ORDER BY began_at, ended_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM stretches
  )
),
lasting AS (
  SELECT run, consumer_group, min(struck_at) AS began_at, max(ended_at) AS ended_at
  FROM numbered
  GROUP BY run, consumer_group, island
  HAVING min(struck_at) IS NOT NULL
),
clearing AS (
  SELECT
    o.run, o.consumer_group, o.acked_at, max(coalesce(o.handled_at, CASE WHEN NOT o.drained THEN a.ended_at END)) OVER (
      PARTITION BY o.run, o.consumer_group ORDER BY o.acked_at ROWS UNBOUNDED PRECEDING) AS cleared_at
  FROM owed AS o JOIN asked AS a USING (run)
  WHERE NOT o.is_parked
)
SELECT
  l.run, l.consumer_group, l.began_at,
  max(greatest(l.ended_at, c.cleared_at)) OVER (
    PARTITION BY l.run, l.consumer_group ORDER BY l.began_at ROWS UNBOUNDED PRECEDING) AS cleared_at
FROM lasting AS l
ASOF LEFT JOIN clearing AS c ON c.run = l.run AND c.consumer_group = l.consumer_group AND l.ended_at >= c.acked_at;

-- From the first send of an owed message to when it was first handled (`took`; null: never). `in_doubt`: it may have been
-- parked where nobody looked.
CREATE OR REPLACE TEMP TABLE latencies AS
WITH asked AS (
  SELECT r.run, r.ended_at
  FROM runs AS r SEMI JOIN comparable_clocks USING (run)
  WHERE r.scenario IN (SELECT scenario FROM parameters WHERE guarantee = 'latency')
),
under_way AS (
  SELECT
    o.run, o.consumer_group, o.message, o.key, o.sequence, o.in_doubt, o.first_invoked, o.handled_at,
    o.handled_at - o.first_invoked AS took, coalesce(o.handled_at, a.ended_at) AS left_at
  FROM owed AS o JOIN asked AS a USING (run)
  WHERE NOT o.is_parked
)
SELECT u.* EXCLUDE (left_at)
FROM under_way AS u
ASOF LEFT JOIN disturbances AS d
  ON d.run = u.run AND d.consumer_group = u.consumer_group AND u.left_at >= d.began_at
WHERE d.cleared_at IS NULL OR d.cleared_at < u.first_invoked;

-- Each percentile that a scenario bounds: the nearest rank of the `measured` of a group, and how many there were in doubt.
CREATE OR REPLACE TEMP TABLE percentiles AS
WITH bounds_given AS (
  SELECT
    r.run, p.name, TRY_CAST(p.value AS BIGINT) AS allowed,
    CASE p.name WHEN 'p50' THEN 500 WHEN 'p95' THEN 950 WHEN 'p99' THEN 990 WHEN 'p999' THEN 999 WHEN 'max' THEN 1000 END AS permille
  FROM runs AS r JOIN parameters AS p USING (scenario)
  WHERE p.guarantee = 'latency' AND p.name <> 'outside_faults'
),
ranked AS (
  SELECT
    run, consumer_group, list_sort(list(took) FILTER (NOT in_doubt), 'ASC', 'NULLS LAST') AS slowest_last,
    count(*) FILTER (NOT in_doubt) AS measured, count(*) FILTER (in_doubt) AS doubtful
  FROM latencies
  GROUP BY run, consumer_group
)
SELECT
  b.name, b.permille, b.allowed, r.run, r.consumer_group, r.slowest_last[(r.measured * b.permille + 999) // 1000] AS took,
  r.measured, r.doubtful
FROM ranked AS r JOIN bounds_given AS b USING (run)
WHERE r.measured > 0 AND b.permille IS NOT NULL;
