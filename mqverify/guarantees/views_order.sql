-- Shared pieces of the guarantees that compare orders (MQ111, MQ113, MQ115). How pieces are made: views.sql.

-- For each message that a group handled, and of whose key it handled another one that was surely sent before: when
-- the last of those was first handled (`latest_before`), beside its own first handling (`handled_at`). A message
-- is asked at its first try; among those of its producer it counts as sent before from its acked try on, among all
-- (producer null here, only for keys of several) from its acknowledgement on. So one running maximum does it,
-- without pairs. Without a shared clock only what one consumer handled alone is compared, within one producer.
CREATE OR REPLACE TEMP TABLE handled_after AS
WITH handled AS (
  SELECT
    h.run, h.consumer_group, h.message, h.handled_at, m.key, m.producer, m.first_invoked, m.acked_invoked, m.acked_at,
    CASE WHEN c.run IS NULL THEN h.consumer END AS its_clock
  FROM handlings AS h JOIN messages AS m USING (run, message) LEFT JOIN comparable_clocks AS c USING (run)
  WHERE c.run IS NOT NULL
    OR (h.run, h.consumer_group, h.message) IN (
      SELECT (run, consumer_group, message)
      FROM deliveries ANTI JOIN comparable_clocks USING (run)
      WHERE result = 'handled'
      GROUP BY run, consumer_group, message
      HAVING min(consumer) = max(consumer)
    )
),
of_several AS (
  SELECT run, key
  FROM messages SEMI JOIN comparable_clocks USING (run)
  GROUP BY run, key
  HAVING min(producer) <> max(producer)
),
steps AS (
  SELECT
    run, consumer_group, key, producer, its_clock, message, handled_at, first_invoked AS moment,
    CASE WHEN acked_invoked = first_invoked THEN handled_at END AS counts
  FROM handled
  UNION ALL
  SELECT run, consumer_group, key, producer, its_clock, NULL, NULL, acked_invoked, handled_at
  FROM handled
  WHERE acked_invoked > first_invoked
  UNION ALL
  SELECT run, consumer_group, key, NULL, NULL, message, handled_at, first_invoked, NULL
  FROM handled SEMI JOIN of_several USING (run, key)
  UNION ALL
  SELECT run, consumer_group, key, NULL, NULL, NULL, NULL, acked_at, handled_at
  FROM handled SEMI JOIN of_several USING (run, key)
  WHERE acked_at IS NOT NULL
)
SELECT run, consumer_group, message, any_value(handled_at) AS handled_at, max(latest_before) AS latest_before
FROM (
  SELECT
    run, consumer_group, message, handled_at,
    max(counts) OVER (
      PARTITION BY run, consumer_group, key, producer, its_clock ORDER BY moment
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP
    ) AS latest_before
  FROM steps
)
WHERE message IS NOT NULL AND latest_before IS NOT NULL
GROUP BY run, consumer_group, message;

-- One row a tenure: a source in the hands of one incarnation, from `assigned` to its next change, else the
-- incarnation's end, else the run's (`changed`: another row ended it). `ordered`: not of competing consumers.
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
  row_number() OVER () AS tenure, c.run, c.consumer_group, c.consumer, c.incarnation, c.source, c.shard,
  c.start_position,
  c.start_from, c.began_at, c.done_at, coalesce(c.changed_at, w.ended_at, r.ended_at) AS ended_at,
  c.changed_at IS NOT NULL AS changed, g.delivery IS DISTINCT FROM 'competing' AS ordered
FROM changes AS c
JOIN runs AS r USING (run)
LEFT JOIN groups AS g USING (run, consumer_group)
LEFT JOIN workers AS w ON w.run = c.run AND w.worker = c.consumer AND w.incarnation = c.incarnation
WHERE c.change = 'assigned';

-- Neighbours within a tenure: first deliveries of source positions in the order they were handed over,
-- `start_position` - 1 before the first. `delivered_at` is that of the right one; `left_at` is null where the left
-- one is the start.
CREATE OR REPLACE TEMP TABLE neighbours AS
WITH first_deliveries AS (
  SELECT t.tenure, d.source_position, min(d.delivered_at) AS delivered_at, any_value(d.message) AS message
  FROM deliveries AS d
  JOIN tenures AS t
    ON t.run = d.run AND t.consumer_group = d.consumer_group AND t.consumer = d.consumer
    AND t.incarnation = d.incarnation AND t.source = d.source AND t.shard IS NOT DISTINCT FROM d.shard
  WHERE t.ordered AND d.delivered_at >= t.began_at AND (NOT t.changed OR d.delivered_at < t.ended_at)
  GROUP BY t.tenure, d.source_position
),
paired AS (
  SELECT
    tenure, source_position AS right_position, delivered_at, message AS right_message,
    lag(source_position) OVER handed AS left_position, lag(delivered_at) OVER handed AS left_at,
    lag(message) OVER handed AS left_message
  FROM first_deliveries
  WINDOW handed AS (PARTITION BY tenure ORDER BY delivered_at, source_position)
)
SELECT
  t.run, p.tenure, coalesce(p.left_position, t.start_position - 1) AS left_position, p.left_at, p.left_message,
  p.right_position, p.delivered_at, p.right_message
FROM paired AS p JOIN tenures AS t USING (tenure)
WHERE p.left_position IS NOT NULL OR t.start_position IS NOT NULL;

-- Neighbours that leave positions out, and each reading of their source after the right one was delivered.
CREATE OR REPLACE TEMP TABLE gaps_read AS
SELECT
  n.tenure, n.run, n.left_position, n.right_position, t.source, b.reading, b.read_to,
  coalesce(t.shard, -1) AS shard, CASE WHEN t.shard IS NULL THEN '' ELSE t.consumer_group END AS shard_group
FROM neighbours AS n
JOIN tenures AS t USING (tenure)
LEFT JOIN (FROM bounds SEMI JOIN comparable_clocks USING (run)) AS b
  ON b.run = n.run AND b.partition = t.source AND b.place = 'main' AND b.read_at > n.delivered_at
WHERE n.right_position > n.left_position + 1;

-- Of these neighbours: `skipped` and `skipped_position`, the last message between them, in the shard, that such a
-- reading found (null: none), and whether one saw everything below the right neighbour (`covered`).
CREATE OR REPLACE TEMP TABLE gaps AS
WITH found AS (
  SELECT l.run, l.reading, l.source, '' AS shard_group, -1 AS shard, l.source_position, l.message
  FROM log AS l
  WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted' AND l.message IS NOT NULL
    AND (l.run, l.source) IN (SELECT (run, source) FROM gaps_read)
  UNION ALL
  SELECT l.run, l.reading, l.source, s.consumer_group, s.shard, l.source_position, l.message
  FROM log AS l JOIN shards AS s USING (run, key)
  WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted' AND l.message IS NOT NULL
)
SELECT
  g.tenure, g.right_position,
  max(f.source_position) FILTER (f.source_position > g.left_position) AS skipped_position,
  arg_max(f.message, f.source_position) FILTER (f.source_position > g.left_position) AS skipped,
  coalesce(bool_or(g.read_to >= g.right_position), false) AS covered
FROM gaps_read AS g
ASOF LEFT JOIN found AS f
  ON f.run = g.run AND f.reading = g.reading AND f.source = g.source AND f.shard_group = g.shard_group
  AND f.shard = g.shard
  AND g.right_position > f.source_position
GROUP BY g.tenure, g.right_position;

-- Keys that two consumers of a group or more had in hand, at whatever times.
CREATE OR REPLACE TEMP TABLE keys_in_hands AS
SELECT row_number() OVER () AS its_number, run, consumer_group, key
FROM deliveries SEMI JOIN comparable_clocks USING (run)
WHERE started_at IS NOT NULL AND key IS NOT NULL
GROUP BY run, consumer_group, key
HAVING min(consumer) <> max(consumer);

-- Who had a message of these keys in hand (`its_number`), from when `until` when; and who of those that began
-- before had one in hand for longest.
CREATE OR REPLACE TEMP TABLE hands AS
SELECT *, max(until) OVER earlier AS longest_until, arg_max(consumer, until) OVER earlier AS longest_by
FROM (
  SELECT
    k.its_number, d.message, d.sequence, d.consumer, d.incarnation, d.source, d.started_at,
    coalesce(d.ended_at, w.ended_at, r.ended_at) AS until
  FROM deliveries AS d
  JOIN keys_in_hands AS k USING (run, consumer_group, key)
  JOIN runs AS r USING (run)
  LEFT JOIN workers AS w ON w.run = d.run AND w.worker = d.consumer AND w.incarnation = d.incarnation
  WHERE d.started_at < coalesce(d.ended_at, w.ended_at, r.ended_at)
)
WINDOW earlier AS (PARTITION BY its_number ORDER BY started_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);

-- Of each key in two hands at one time the first time it was. Another consumer than the one who has it in hand for
-- longest sees two hands for certain. The same one may hide a third: only then each other consumer is looked at.
CREATE OR REPLACE TEMP TABLE grasps AS
WITH certain AS (
  SELECT * EXCLUDE (until, longest_until, longest_by)
  FROM hands
  WHERE longest_until > started_at AND longest_by <> consumer
  QUALIFY row_number() OVER (PARTITION BY its_number ORDER BY started_at, consumer, message) = 1
),
unclear AS (
  SELECT h.* EXCLUDE (until, longest_until, longest_by)
  FROM hands AS h LEFT JOIN certain AS c USING (its_number)
  WHERE h.longest_until > h.started_at AND h.longest_by = h.consumer
    AND (c.its_number IS NULL OR h.started_at <= c.started_at)
),
of_each AS (
  SELECT
    its_number, consumer AS other, started_at AS since,
    max(until) OVER (PARTITION BY its_number, consumer ORDER BY started_at) AS until
  FROM hands SEMI JOIN unclear USING (its_number)
),
hidden AS (
  SELECT u.*
  FROM (
    SELECT u.*, o.other
    FROM unclear AS u JOIN (SELECT DISTINCT its_number, other FROM of_each) AS o USING (its_number)
    WHERE o.other <> u.consumer
  ) AS u
  ASOF JOIN of_each AS o ON o.its_number = u.its_number AND o.other = u.other AND u.started_at >= o.since
  WHERE o.until > u.started_at
),
earliest AS (
  SELECT *
  FROM (FROM certain UNION ALL SELECT * EXCLUDE (other) FROM hidden)
  QUALIFY row_number() OVER (PARTITION BY its_number ORDER BY started_at, consumer, message) = 1
)
SELECT
  t.its_number, t.message, t.sequence, t.consumer, t.incarnation, t.source, t.started_at,
  o.message AS other_message, o.sequence AS other_sequence, o.consumer AS other_consumer,
  o.incarnation AS other_incarnation, o.started_at AS other_started_at, o.until AS other_until
FROM earliest AS t
JOIN hands AS o
  ON o.its_number = t.its_number AND o.consumer <> t.consumer AND o.started_at <= t.started_at
  AND o.until > t.started_at
QUALIFY row_number() OVER (
  PARTITION BY t.its_number ORDER BY o.until DESC, o.started_at, o.consumer, o.message
) = 1;
