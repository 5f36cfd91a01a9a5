-- Shared pieces of MQ131 and MQ132: what settlements cover, and where starts may be. How pieces are made: views.sql.

-- Settlements of unknown outcome that a later start proves applied: the start is at its position, by what was settled, and
-- no acknowledged one explains it. Of several that may, the last invoked.
CREATE OR REPLACE TEMP TABLE proven_settlements AS
SELECT s.rowid AS settlement
FROM settlements AS s
JOIN assignments AS a
  ON a.run = s.run AND a.consumer_group = s.consumer_group AND a.source = s.source
  AND a.shard IS NOT DISTINCT FROM s.shard AND a.start_position = s.source_position
WHERE s.outcome = 'unknown' AND s.covers = 'below' AND s.action NOT IN ('retry', 'expire')
  AND a.change = 'assigned' AND a.start_from = 'committed' AND a.done_at > s.invoked_at
  AND (s.run, s.consumer_group, s.source, coalesce(s.shard, -1), s.source_position) NOT IN (
    SELECT (run, consumer_group, source, coalesce(shard, -1), source_position)
    FROM settlements
    WHERE outcome = 'acked' AND covers = 'below'
  )
QUALIFY row_number() OVER (
  PARTITION BY a.run, a.consumer_group, a.source, a.shard, a.start_position, a.done_at ORDER BY s.invoked_at DESC
) = 1;

-- The settlements that count: acknowledged or proven, in sources that a reading showed, so that what is gone is known.
CREATE OR REPLACE TEMP TABLE counted_settlements AS
SELECT s.rowid AS settlement, s.*
FROM settlements AS s SEMI JOIN comparable_clocks USING (run)
WHERE (s.outcome = 'acked' OR s.rowid IN (SELECT settlement FROM proven_settlements))
  AND s.action NOT IN ('retry', 'expire')
  AND (s.run, s.source) IN (
    SELECT (run, partition) FROM seen_places UNION SELECT (run, source) FROM readings WHERE source IS NOT NULL
  );

-- Owed messages at positions that an unclean election gave away again, where the group had been handed another message, and when
-- it was first handed them (if never, the end of time). Who settled past the one there before that did not settle them.
CREATE OR REPLACE TEMP TABLE given_again AS
WITH emptied AS (
  SELECT DISTINCT p.run, p.id AS source
  FROM places AS p JOIN unclean_elections AS e ON e.run = p.run AND coalesce(e.partition, p.id) = p.id
),
handed AS (
  SELECT run, consumer_group, source, source_position, message, min(delivered_at) AS handed_at
  FROM deliveries SEMI JOIN emptied USING (run, source)
  WHERE message IS NOT NULL AND source_position IS NOT NULL
  GROUP BY ALL
)
SELECT DISTINCT o.run, o.consumer_group, p.source, o.message, coalesce(i.handed_at, 9223372036854775807) AS handed_at
FROM owed AS o
JOIN source_positions AS p ON p.run = o.run AND p.message = o.message
JOIN handed AS h
  ON h.run = o.run AND h.consumer_group = o.consumer_group AND h.source = p.source AND h.source_position = p.source_position
  AND h.message <> o.message
LEFT JOIN handed AS i
  ON i.run = o.run AND i.consumer_group = o.consumer_group AND i.source = p.source AND i.message = o.message
  AND i.source_position = p.source_position
WHERE h.handed_at < coalesce(i.handed_at, 9223372036854775807);

-- What groups are owed along the sources that they settle. A settlement that covers a message is safe if invoked after
-- `unsafe_until`: when it was first handled, or when a reading last found it before it legally expired, and its age allowed that;
-- never if neither; at once (−1) if parked. What left its parked place again is not safe from then (`unsafe_from`) on, nor what
-- was given the position of another before it was handed out; else that is −1.
CREATE OR REPLACE TEMP TABLE owed_along AS
SELECT
  o.run, o.consumer_group, p.source, coalesce(s.shard, -1) AS shard, p.source_position, o.message, o.key, o.sequence, o.handled_at,
  CASE
    WHEN o.is_parked OR o.in_doubt THEN -1
    ELSE least(
      coalesce(o.handled_at, 9223372036854775807),
      CASE WHEN x.run IS NULL THEN 9223372036854775807 ELSE greatest(x.last_found_at, x.due_at, 0) END
    )
  END AS unsafe_until,
  greatest(coalesce(u.parked_until, -1), coalesce(a.handed_at, -1)) AS unsafe_from
FROM owed AS o
JOIN source_positions AS p ON p.run = o.run AND p.message = o.message
SEMI JOIN (SELECT DISTINCT run, consumer_group, source FROM counted_settlements) AS f
  ON f.run = o.run AND f.consumer_group = o.consumer_group AND f.source = p.source
LEFT JOIN parked_until AS u ON u.run = o.run AND u.consumer_group = o.consumer_group AND u.message = o.message
LEFT JOIN shards AS s ON s.run = o.run AND s.consumer_group = o.consumer_group AND s.key = o.key
LEFT JOIN expired AS x ON x.run = o.run AND x.message = o.message
LEFT JOIN given_again AS a
  ON a.run = o.run AND a.consumer_group = o.consumer_group AND a.source = p.source AND a.message = o.message;

-- Of messages that their absence would excuse: who had been handed one, which was not gone for it. Its settlements that cover
-- the message are not excused, until the message was handled or what it lies in was taken from it.
CREATE OR REPLACE TEMP TABLE in_hand AS
WITH handed AS (
  SELECT
    d.run, d.consumer_group, d.consumer, d.incarnation, o.source, o.source_position, o.message, o.key, o.sequence, o.handled_at,
    max(d.delivered_at) AS delivered_at
  FROM owed_along AS o
  JOIN deliveries AS d ON d.run = o.run AND d.consumer_group = o.consumer_group AND d.source = o.source AND d.message = o.message
  WHERE o.unsafe_until >= 0 AND o.unsafe_from < 0 AND o.unsafe_until < coalesce(o.handled_at, 9223372036854775807)
  GROUP BY ALL
),
until AS (
  SELECT h.*, least(coalesce(h.handled_at, 9223372036854775807), coalesce(t.ended_at, 9223372036854775807)) AS unsafe_until
  FROM handed AS h
  ASOF LEFT JOIN tenures AS t
    ON t.run = h.run AND t.consumer_group = h.consumer_group AND t.source = h.source AND t.consumer = h.consumer
    AND t.incarnation = h.incarnation AND h.delivered_at >= t.began_at
)
SELECT *, max(unsafe_until) OVER (
    PARTITION BY run, consumer_group, consumer, incarnation, source ORDER BY source_position, message
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS so_far
FROM until;

-- Settlements that cover a message too early, with the message that was handled last, or never, of all they cover. Along
-- a source only messages that raise the running maximum of `unsafe_until` matter: one ASOF join finds the one.
CREATE OR REPLACE TEMP TABLE unsafe_settlements AS
WITH climbing AS (
  SELECT *, max(unsafe_until) OVER (
    PARTITION BY run, consumer_group, source, shard ORDER BY source_position, message
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS so_far
  FROM owed_along
  WHERE unsafe_from < 0
),
peaks AS (SELECT * FROM climbing WHERE unsafe_until >= 0 AND (so_far IS NULL OR unsafe_until > so_far)),
-- A group with shards whose settlement names none covers all of them.
all_shards AS (
  SELECT run, consumer_group, source, source_position, message, key, sequence, handled_at, unsafe_until
  FROM (
    SELECT *, max(unsafe_until) OVER (
      PARTITION BY run, consumer_group, source ORDER BY source_position, message
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS so_far
    FROM owed_along
    WHERE unsafe_from < 0 AND (run, consumer_group) IN (SELECT (run, consumer_group) FROM shards)
  )
  WHERE unsafe_until >= 0 AND (so_far IS NULL OR unsafe_until > so_far)
),
steps AS (
  SELECT run, consumer_group, source, shard, source_position, message, key, sequence, handled_at, unsafe_until FROM peaks
  UNION ALL
  SELECT run, consumer_group, source, -1, source_position, message, key, sequence, handled_at, unsafe_until FROM all_shards
),
below AS (
  SELECT s.*, coalesce(s.shard, -1) AS of_shard FROM counted_settlements AS s WHERE s.covers = 'below'
),
covered AS (
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position AS reached, c.message, c.key, c.sequence, c.source_position, c.handled_at, c.unsafe_until
  FROM below AS s
  ASOF JOIN steps AS c
    ON c.run = s.run AND c.consumer_group = s.consumer_group AND c.source = s.source AND c.shard = s.of_shard
    AND s.source_position > c.source_position
  UNION ALL
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position, o.message, o.key, o.sequence, o.source_position, o.handled_at, o.unsafe_until
  FROM below AS s
  JOIN (SELECT * FROM owed_along WHERE unsafe_from >= 0) AS o
    ON o.run = s.run AND o.consumer_group = s.consumer_group AND o.source = s.source AND s.of_shard IN (o.shard, -1)
    AND s.source_position > o.source_position AND s.invoked_at > o.unsafe_from
  UNION ALL
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position, o.message, o.key, o.sequence, o.source_position, o.handled_at, o.unsafe_until
  FROM counted_settlements AS s
  JOIN owed_along AS o
    ON o.run = s.run AND o.consumer_group = s.consumer_group AND o.source = s.source AND o.message = s.message
  WHERE s.covers = 'one' AND s.invoked_at > o.unsafe_from
  UNION ALL
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position, o.message, o.key, o.sequence, o.source_position, o.handled_at, o.unsafe_until
  FROM counted_settlements AS s
  JOIN owed_along AS o
    ON o.run = s.run AND o.consumer_group = s.consumer_group AND o.source = s.source
    AND o.source_position = s.source_position
  WHERE s.covers = 'one' AND s.message IS NULL AND s.invoked_at > o.unsafe_from
  UNION ALL
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position, h.message, h.key, h.sequence, h.source_position, h.handled_at, h.unsafe_until
  FROM below AS s
  ASOF JOIN (SELECT * FROM in_hand WHERE so_far IS NULL OR unsafe_until > so_far) AS h
    ON h.run = s.run AND h.consumer_group = s.consumer_group AND h.source = s.source AND h.consumer = s.consumer
    AND h.incarnation = s.incarnation AND s.source_position > h.source_position
  UNION ALL
  SELECT
    s.settlement, s.run, s.consumer_group, s.consumer, s.incarnation, s.source, s.action, s.settled_by, s.invoked_at,
    s.source_position, h.message, h.key, h.sequence, h.source_position, h.handled_at, h.unsafe_until
  FROM counted_settlements AS s
  JOIN in_hand AS h
    ON h.run = s.run AND h.consumer_group = s.consumer_group AND h.source = s.source AND h.consumer = s.consumer
    AND h.incarnation = s.incarnation AND h.source_position = s.source_position
  WHERE s.covers = 'one' AND s.action <> 'park'  -- a parked link that leads nowhere any more was right when it was written
)
SELECT *
FROM covered
WHERE CASE WHEN settled_by = 'observed' THEN unsafe_until = 9223372036854775807 ELSE unsafe_until > invoked_at END
QUALIFY row_number() OVER (PARTITION BY settlement ORDER BY unsafe_until DESC, source_position, message) = 1;

-- Starts of consumers after the group's first in a source, where they settle positions (not one by one).
CREATE OR REPLACE TEMP TABLE resumptions AS
SELECT *
FROM (
  SELECT
    a.rowid AS start_row, a.run, a.consumer_group, a.consumer, a.incarnation, a.source, coalesce(a.shard, -1) AS shard,
    a.asked_at, a.start_position, a.start_from, a.done_at, g.starts,
    row_number() OVER (PARTITION BY a.run, a.consumer_group, a.source, a.shard ORDER BY a.asked_at, a.done_at) AS nth
  FROM assignments AS a SEMI JOIN comparable_clocks USING (run) JOIN groups AS g USING (run, consumer_group)
  WHERE a.change = 'assigned' AND g.delivery <> 'competing'
)
WHERE nth > 1 AND start_position IS NOT NULL AND done_at IS NOT NULL;

-- Positions that the sinks of groups hold, where sinks keep positions: each is behind an effect, which is one step with it;
-- or behind a message that was skipped or parked, and when it was moved there is not known.
CREATE OR REPLACE TEMP TABLE sink_positions AS
WITH keeping AS (
  SELECT run, consumer_group FROM assignments WHERE start_from = 'sink'
  UNION
  SELECT g.run, g.consumer_group
  FROM groups AS g JOIN settings AS s ON s.run = g.run AND s.name = 'sink.' || g.consumer_group
  WHERE s.value = 'transactional'
)
SELECT
  e.run, e.consumer_group, e.source, coalesce(s.shard, -1) AS shard, e.source_position + 1 AS source_position,
  'acked' AS outcome, e.applied_at AS invoked_at, e.applied_at AS completed_at, e.consumer, e.incarnation
FROM effects AS e
SEMI JOIN keeping AS k ON k.run = e.run AND k.consumer_group = e.consumer_group
LEFT JOIN shards AS s ON s.run = e.run AND s.consumer_group = e.consumer_group AND s.key = e.key
UNION ALL
SELECT
  run, consumer_group, source, coalesce(shard, -1), source_position + 1, 'unknown', invoked_at, NULL, consumer, incarnation
FROM settlements SEMI JOIN keeping USING (run, consumer_group)
WHERE covers = 'one' AND action IN ('skip', 'park') AND outcome <> 'failed';

-- Settled positions that may stand, and from when on each is surely overwritten (null: never). What a sink keeps and what the
-- broker was told are two things: neither overwrites the other.
CREATE OR REPLACE TEMP TABLE standing_positions AS
WITH positions AS (
  SELECT
    run, consumer_group, source, coalesce(shard, -1) AS shard, source_position, outcome, invoked_at,
    CASE WHEN outcome = 'acked' THEN completed_at END AS completed_at, consumer, incarnation, false AS in_sink
  FROM settlements
  WHERE covers = 'below' AND action NOT IN ('retry', 'expire') AND outcome IN ('acked', 'unknown')
    AND (run, consumer_group, source) IN (SELECT (run, consumer_group, source) FROM resumptions)
  UNION ALL
  SELECT *, true FROM sink_positions SEMI JOIN resumptions USING (run, consumer_group, source)
),
overwriting AS (
  SELECT
    run, consumer_group, source, shard, in_sink, invoked_at,
    min(completed_at) OVER (
      PARTITION BY run, consumer_group, source, shard, in_sink ORDER BY invoked_at RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) AS earliest
  FROM positions
  WHERE outcome = 'acked'
)
SELECT p.*, o.earliest AS overwritten_at
FROM positions AS p
ASOF LEFT JOIN overwriting AS o
  ON o.run = p.run AND o.consumer_group = p.consumer_group AND o.source = p.source AND o.shard = p.shard
  AND o.in_sink = p.in_sink AND p.completed_at < o.invoked_at;

-- Resets after an unclean election. Its leader may have ended before what was settled, so that the client was out of range:
-- nobody has seen it, since the end soon lies beyond that again. Whether they were right is in doubt.
CREATE OR REPLACE TEMP TABLE doubtful_resets AS
SELECT DISTINCT r.start_row, r.run
FROM resumptions AS r JOIN unclean_elections AS e ON e.run = r.run AND coalesce(e.partition, r.source) = r.source
WHERE r.start_from LIKE 'reset%' AND coalesce(e.began_at, r.done_at) <= r.done_at;

-- Resumptions at none of the positions that may stand, nor where the reset policy may send them. Who says that it starts at the
-- sink's has to, and where the sink surely had one before it asked everybody has to, whatever the broker was told. What a sink
-- holds shows only where effects were recorded.
CREATE OR REPLACE TEMP TABLE illegal_resumptions AS
WITH at_sinks AS (
  SELECT r.start_row
  FROM resumptions AS r
  JOIN sink_positions AS s
    ON s.run = r.run AND s.consumer_group = r.consumer_group AND s.source = r.source AND s.shard = r.shard
    AND s.completed_at < r.asked_at
  UNION
  SELECT start_row FROM resumptions WHERE start_from = 'sink'
),
not_settled AS (
  SELECT *
  FROM resumptions
  WHERE start_from IS DISTINCT FROM 'kept'
    AND (start_from IS DISTINCT FROM 'sink' OR (run, consumer_group) IN (SELECT DISTINCT (run, consumer_group) FROM effects))
    AND start_row NOT IN (
      SELECT r.start_row
      FROM resumptions AS r
      JOIN standing_positions AS s
        ON s.run = r.run AND s.consumer_group = r.consumer_group AND s.source = r.source AND s.shard = r.shard
        AND s.source_position = r.start_position AND s.in_sink = (r.start_row IN (SELECT start_row FROM at_sinks))
      WHERE s.invoked_at < r.done_at AND (s.overwritten_at IS NULL OR s.overwritten_at >= r.asked_at)
    )
),
ranges AS (
  SELECT run, partition AS source, max(first_position) AS first_position, min(end_position) AS end_position
  FROM seen_places
  GROUP BY run, partition
),
expiries AS (
  SELECT run, consumer_group, source, coalesce(shard, -1) AS shard, invoked_at
  FROM settlements
  WHERE action = 'expire'
),
-- What stood when they asked: whether anything acknowledged did (asked for since the last expiry: what was asked for before may
-- have expired, however late its answer was read), and whether all of it was in range.
context AS (
  SELECT
    n.start_row,
    coalesce(bool_or(s.completed_at < n.asked_at AND s.invoked_at > coalesce(x.expired_at, -1)), false) AS settled,
    coalesce(bool_and(s.source_position < g.first_position OR s.source_position > g.end_position) FILTER (
      s.invoked_at < n.done_at AND (s.overwritten_at IS NULL OR s.overwritten_at >= n.asked_at)
    ), false) AS out_of_range,
    arg_max(s.source_position, s.completed_at) FILTER (s.completed_at < n.asked_at) AS last_position,
    arg_max(s.consumer, s.completed_at) FILTER (s.completed_at < n.asked_at) AS last_by,
    arg_max(s.incarnation, s.completed_at) FILTER (s.completed_at < n.asked_at) AS last_incarnation,
    max(s.completed_at) FILTER (s.completed_at < n.asked_at) AS last_completed_at
  FROM not_settled AS n
  LEFT JOIN standing_positions AS s
    ON s.run = n.run AND s.consumer_group = n.consumer_group AND s.source = n.source AND s.shard = n.shard
    AND s.in_sink = (n.start_row IN (SELECT start_row FROM at_sinks))
  LEFT JOIN ranges AS g ON g.run = n.run AND g.source = n.source
  LEFT JOIN (
    SELECT n.start_row, max(e.invoked_at) AS expired_at
    FROM not_settled AS n JOIN expiries AS e USING (run, consumer_group, source, shard)
    WHERE e.invoked_at < n.done_at
    GROUP BY n.start_row
  ) AS x ON x.start_row = n.start_row
  GROUP BY n.start_row
),
-- Surely not where the policy sends: behind what a later reading still had as its first, or past what was sent after the start.
off_policy AS (
  SELECT n.start_row
  FROM not_settled AS n
  WHERE (n.start_from LIKE '%beginning' AND n.starts <> 'beginning') OR (n.start_from LIKE '%end' AND n.starts <> 'end')
  UNION
  SELECT n.start_row
  FROM not_settled AS n JOIN seen_places AS s ON s.run = n.run AND s.partition = n.source
  WHERE n.starts = 'beginning' AND s.read_at > n.done_at AND n.start_position > s.first_position
  UNION
  SELECT n.start_row
  FROM not_settled AS n
  JOIN source_positions AS p ON p.run = n.run AND p.source = n.source AND p.source_position < n.start_position
  JOIN messages AS m ON m.run = p.run AND m.message = p.message
  WHERE n.starts = 'end' AND m.first_invoked > n.done_at
    AND n.run NOT IN (SELECT run FROM faults WHERE kind = 'unclean_election')
)
SELECT n.*, c.last_position, c.last_by, c.last_incarnation, c.last_completed_at
FROM not_settled AS n JOIN context AS c USING (start_row)
WHERE n.start_from = 'sink'
  OR (n.start_from = 'committed' AND n.start_row NOT IN (SELECT start_row FROM at_sinks))
  OR (c.settled AND NOT c.out_of_range AND n.start_row NOT IN (SELECT start_row FROM doubtful_resets))
  OR n.start_row IN (SELECT start_row FROM off_policy);
