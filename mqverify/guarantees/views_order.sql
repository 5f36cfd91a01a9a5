-- Shared pieces of the guarantees that compare orders (MQ111, MQ113, MQ115). How pieces are made: views.sql.

-- Runs whose times may be compared across workers: virtual time, or one monotonic clock of one machine.
CREATE OR REPLACE TEMP TABLE comparable_clocks AS
SELECT run FROM runs WHERE world = 'simulated'
UNION
SELECT run FROM settings WHERE name = 'clock' AND value = 'shared';

-- For each message that a group handled after another one of its key that was surely sent before: when the last handled
-- of those was first handled (`latest_before`), beside its own first handling (`handled_at`).
-- A message is asked at its first try; it counts as sent before from its acked try on (one producer: lane 0), or from its
-- acknowledgement on (lane 1, only for keys of several producers). One running maximum along each lane does the rest.
-- Without a shared clock only what one consumer handled alone is compared, within one producer.
CREATE OR REPLACE TEMP TABLE handled_after AS
WITH several_producers AS (
  SELECT run, key
  FROM messages SEMI JOIN comparable_clocks USING (run)
  GROUP BY run, key
  HAVING min(producer) <> max(producer)
),
alone AS (
  SELECT run, consumer_group, message
  FROM deliveries ANTI JOIN comparable_clocks USING (run)
  WHERE result = 'handled' AND message IS NOT NULL
  GROUP BY run, consumer_group, message
  HAVING min(consumer) = max(consumer)
),
handled AS (
  SELECT
    h.run, h.consumer_group, h.message, h.handled_at, '' AS judge_of_time,
    m.key, m.producer, m.first_invoked, m.acked_invoked, m.acked_at
  FROM handlings AS h SEMI JOIN comparable_clocks USING (run) JOIN messages AS m USING (run, message)
  UNION ALL
  SELECT
    h.run, h.consumer_group, h.message, h.handled_at, h.consumer,
    m.key, m.producer, m.first_invoked, m.acked_invoked, m.acked_at
  FROM handlings AS h JOIN alone USING (run, consumer_group, message) JOIN messages AS m USING (run, message)
),
lanes AS (
  SELECT row_number() OVER () AS lane, *
  FROM (SELECT DISTINCT run, consumer_group, judge_of_time, key, producer FROM handled)
),
shared_lanes AS (
  SELECT -row_number() OVER () AS lane, *
  FROM (SELECT DISTINCT run, consumer_group, key FROM handled SEMI JOIN several_producers USING (run, key))
),
steps AS (
  SELECT
    l.lane, h.run, h.consumer_group, h.message, h.key, h.handled_at AS handled_at, h.first_invoked AS moment,
    CASE WHEN h.acked_invoked = h.first_invoked THEN h.handled_at END AS counts
  FROM handled AS h JOIN lanes AS l USING (run, consumer_group, judge_of_time, key, producer)
  UNION ALL
  SELECT l.lane, h.run, h.consumer_group, h.message, h.key, NULL, h.acked_invoked, h.handled_at
  FROM handled AS h JOIN lanes AS l USING (run, consumer_group, judge_of_time, key, producer)
  WHERE h.acked_invoked > h.first_invoked
  UNION ALL
  SELECT l.lane, h.run, h.consumer_group, h.message, h.key, h.handled_at, h.first_invoked, NULL
  FROM handled AS h JOIN shared_lanes AS l USING (run, consumer_group, key)
  UNION ALL
  SELECT l.lane, h.run, h.consumer_group, h.message, h.key, NULL, h.acked_at, h.handled_at
  FROM handled AS h JOIN shared_lanes AS l USING (run, consumer_group, key)
  WHERE h.acked_at IS NOT NULL
),
followed AS (
  SELECT
    run, consumer_group, message, key, handled_at,
    max(counts) OVER (
      PARTITION BY lane ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP
    ) AS latest_before
  FROM steps
)
SELECT run, consumer_group, message, any_value(key) AS key, any_value(handled_at) AS handled_at, max(latest_before) AS latest_before
FROM followed
WHERE handled_at IS NOT NULL AND latest_before IS NOT NULL
GROUP BY run, consumer_group, message;

-- One row a tenure: a source in the hands of one incarnation, from `assigned` to its next change, else the incarnation's end,
-- else the run's (`change_ends` says which: another row ended it).
CREATE OR REPLACE TEMP TABLE tenures AS
WITH changes AS (
  SELECT
    run, consumer_group, consumer, incarnation, source, shard, change, start_position, start_from,
    asked_at AS began_at, done_at,
    lead(asked_at) OVER (
      PARTITION BY run, consumer_group, consumer, incarnation, source, shard ORDER BY asked_at, done_at
    ) AS changed_at
  FROM assignments
)
SELECT
  row_number() OVER () AS tenure, c.run, c.consumer_group, c.consumer, c.incarnation, c.source, c.shard, c.start_position,
  c.start_from, c.began_at, c.done_at, coalesce(c.changed_at, w.ended_at, r.ended_at) AS ended_at,
  c.changed_at IS NOT NULL AS changed
FROM changes AS c
JOIN runs AS r USING (run)
LEFT JOIN workers AS w ON w.run = c.run AND w.worker = c.consumer AND w.incarnation = c.incarnation
WHERE c.change = 'assigned';

-- Neighbours within a tenure: first deliveries of source positions in the order they were handed over, `start_position` - 1
-- before the first. `delivered_at` is that of the right one; `left_at` is null where the left one is the start.
CREATE OR REPLACE TEMP TABLE neighbours AS
WITH first_deliveries AS (
  SELECT t.tenure, d.source_position, min(d.delivered_at) AS delivered_at
  FROM deliveries AS d
  JOIN tenures AS t
    ON t.run = d.run AND t.consumer_group = d.consumer_group AND t.consumer = d.consumer
    AND t.incarnation = d.incarnation AND t.source = d.source AND coalesce(t.shard, -1) = coalesce(d.shard, -1)
  WHERE d.delivered_at >= t.began_at AND (NOT t.changed OR d.delivered_at < t.ended_at)
    AND (d.run, d.consumer_group) NOT IN (SELECT (run, consumer_group) FROM groups WHERE delivery = 'competing')
  GROUP BY t.tenure, d.source_position
),
paired AS (
  SELECT
    tenure, source_position AS right_position, delivered_at,
    lag(source_position) OVER (PARTITION BY tenure ORDER BY delivered_at, source_position) AS left_position,
    lag(delivered_at) OVER (PARTITION BY tenure ORDER BY delivered_at, source_position) AS left_at
  FROM first_deliveries
)
SELECT
  t.run, t.consumer_group, t.consumer, t.incarnation, t.source, t.shard, t.began_at, p.tenure,
  coalesce(p.left_position, t.start_position - 1) AS left_position, p.left_at, p.right_position, p.delivered_at
FROM paired AS p JOIN tenures AS t USING (tenure)
WHERE p.left_position IS NOT NULL OR t.start_position IS NOT NULL;

-- Neighbours that leave positions out, and what readings know of those: `skipped_position`, `skipped` (a message between
-- the two, in the shard, that a reading found after the right one was delivered; null: none), and `covered` (a reading
-- after that delivery saw everything below the right one, so that nothing was skipped that this run can show).
CREATE OR REPLACE TEMP TABLE gaps AS
WITH open AS (
  SELECT tenure, run, consumer_group, source, shard, left_position, right_position, delivered_at
  FROM neighbours
  WHERE right_position > left_position + 1
),
reached AS (
  SELECT b.run, b.partition AS source, b.read_at, b.read_to
  FROM bounds AS b
  WHERE b.place = 'main' AND (b.run, b.partition) IN (SELECT (run, source) FROM open)
),
covered AS (
  SELECT DISTINCT o.tenure, o.right_position
  FROM open AS o
  JOIN reached AS r ON r.run = o.run AND r.source = o.source AND r.read_at > o.delivered_at AND r.read_to >= o.right_position
),
found AS (
  SELECT l.run, l.source, l.source_position, l.message, any_value(l.key) AS key, max(coalesce(b.read_at, p.read_at)) AS found_at
  FROM log AS l
  LEFT JOIN bounds AS b
    ON b.run = l.run AND b.reading = l.reading AND b.place = 'main' AND b.partition = l.source
  LEFT JOIN bounds AS p
    ON p.run = l.run AND p.reading = l.reading AND p.place = 'main' AND p.partition = l.partition
  WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted' AND l.message IS NOT NULL
    AND (l.run, l.source) IN (SELECT (run, source) FROM open)
  GROUP BY l.run, l.source, l.source_position, l.message
),
-- What each consumer's shard shows of it; -1 is the shard of groups that have none.
in_shards AS (
  SELECT f.run, f.source, '' AS shard_group, -1 AS shard, f.source_position, f.message, f.found_at
  FROM found AS f
  UNION ALL
  SELECT f.run, f.source, s.consumer_group, s.shard, f.source_position, f.message, f.found_at
  FROM found AS f JOIN shards AS s USING (run, key)
),
asking AS (
  SELECT *, CASE WHEN shard IS NULL THEN '' ELSE consumer_group END AS shard_group, coalesce(shard, -1) AS its_shard
  FROM open
),
nearest AS (
  SELECT a.*, s.source_position AS skipped_position, s.message AS skipped, s.found_at
  FROM asking AS a
  ASOF JOIN in_shards AS s
    ON s.run = a.run AND s.source = a.source AND s.shard_group = a.shard_group AND s.shard = a.its_shard
    AND a.right_position > s.source_position
),
shown AS (
  SELECT tenure, right_position, skipped_position, skipped
  FROM nearest
  WHERE skipped_position > left_position AND found_at > delivered_at
  UNION ALL
  -- The nearest was gone by then, which says nothing of those before it.
  SELECT n.tenure, n.right_position, max(s.source_position), arg_max(s.message, s.source_position)
  FROM nearest AS n
  JOIN in_shards AS s
    ON s.run = n.run AND s.source = n.source AND s.shard_group = n.shard_group AND s.shard = n.its_shard
    AND s.source_position > n.left_position AND s.source_position < n.skipped_position
    AND s.found_at > n.delivered_at
  WHERE n.skipped_position > n.left_position AND n.found_at <= n.delivered_at
  GROUP BY n.tenure, n.right_position
)
SELECT o.tenure, o.right_position, s.skipped_position, s.skipped, c.tenure IS NOT NULL AS covered
FROM open AS o
LEFT JOIN shown AS s USING (tenure, right_position)
LEFT JOIN covered AS c USING (tenure, right_position);
