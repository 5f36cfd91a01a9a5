-- Busy windows (SEMANTICS §3), shared by MQ136 and MQ137. How pieces are made: views.sql. `tenures`: views_order.sql.
--
-- A team is the spec's group: one group, or the consumers of a catch-up subscription that share nothing (each a group of its
-- own). A span is a stretch without fault, rebalance, join or leave; windows are the parts of a span in which enough waits.
-- Everything that rules a moment out is an interval; spans and windows are what such intervals leave free, found by a
-- running maximum of their ends.

CREATE OR REPLACE TEMP TABLE teams AS
SELECT
  row_number() OVER () AS team_id, run, team, any_value(consumer_group) AS consumer_group, count(*) AS members,
  bool_or(delivery = 'exclusive') AS exclusive
FROM groups SEMI JOIN comparable_clocks USING (run)
GROUP BY run, team;

CREATE OR REPLACE TEMP TABLE team_of AS
SELECT g.run, g.consumer_group, t.team_id, t.exclusive
FROM groups AS g JOIN teams AS t USING (run, team);

-- Moments at which the share of work is not settled: (team_id, began_at, ended_at).
CREATE OR REPLACE TEMP TABLE unsettled AS
WITH lives AS (
  SELECT t.team_id, t.exclusive, w.worker, w.began_at, coalesce(w.ended_at, r.ended_at) AS ended_at
  FROM workers AS w JOIN team_of AS t USING (run, consumer_group) JOIN runs AS r USING (run)
  WHERE w.kind = 'consumer'
),
held AS (
  SELECT
    t.team_id, t.exclusive, h.consumer, h.source, h.began_at, h.done_at, h.ended_at, h.changed, r.ended_at AS run_ended_at
  FROM tenures AS h JOIN team_of AS t USING (run, consumer_group) JOIN runs AS r USING (run)
),
-- Who is without its source waits for the next tenure of that source; where sources are not handed round, the consumer
-- waits for its own next one.
released AS (
  SELECT team_id, exclusive, CASE WHEN exclusive THEN source::VARCHAR ELSE consumer END AS what, ended_at, run_ended_at
  FROM held
  WHERE changed OR (exclusive AND ended_at < run_ended_at)
),
taken AS (
  SELECT team_id, CASE WHEN exclusive THEN source::VARCHAR ELSE consumer END AS what, began_at
  FROM held
),
waiting AS (
  SELECT r.team_id, r.ended_at AS began_at, coalesce(t.began_at, r.run_ended_at) AS ended_at
  FROM released AS r ASOF LEFT JOIN taken AS t ON t.team_id = r.team_id AND t.what = r.what AND r.ended_at <= t.began_at
),
-- A consumer has joined when the first assignment after its beginning is done: one of its group, for who gets nothing is
-- told nothing; its own, where sources are not handed round.
known AS (
  SELECT team_id, CASE WHEN exclusive THEN '' ELSE consumer END AS who_joined, began_at, coalesce(done_at, ended_at) AS done_at
  FROM held
),
joining AS (
  SELECT l.team_id, l.began_at, coalesce(k.done_at, l.ended_at) AS ended_at
  FROM (SELECT *, CASE WHEN exclusive THEN '' ELSE worker END AS who_joined FROM lives) AS l
  ASOF LEFT JOIN known AS k ON k.team_id = l.team_id AND k.who_joined = l.who_joined AND l.began_at <= k.began_at
)
SELECT team_id, began_at, ended_at FROM waiting
UNION ALL
SELECT team_id, began_at, ended_at FROM joining
UNION ALL
SELECT team_id, ended_at, ended_at FROM lives
UNION ALL
SELECT team_id, began_at, coalesce(done_at, ended_at) FROM held
UNION ALL
SELECT t.team_id, f.began_at, coalesce(f.ended_at, r.ended_at)
FROM faults AS f JOIN runs AS r USING (run) JOIN teams AS t USING (run)
WHERE f.took_effect AND f.began_at IS NOT NULL
UNION ALL
SELECT t.team_id, r.ended_at, r.ended_at FROM teams AS t JOIN runs AS r USING (run);

-- Spans with two consumers or more, all alive throughout, in which enough handlings start for a window.
CREATE OR REPLACE TEMP TABLE spans AS
WITH free AS (
  SELECT
    team_id, began_at AS ended_at,
    max(ended_at) OVER (
      PARTITION BY team_id ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS began_at
  FROM unsettled
),
manned AS (
  SELECT f.team_id, f.began_at, f.ended_at, count(DISTINCT w.worker) AS consumers
  FROM free AS f
  JOIN team_of AS t USING (team_id)
  JOIN workers AS w ON w.run = t.run AND w.consumer_group = t.consumer_group AND w.kind = 'consumer'
  WHERE f.ended_at > f.began_at AND w.began_at <= f.began_at AND (w.ended_at IS NULL OR w.ended_at >= f.ended_at)
  GROUP BY f.team_id, f.began_at, f.ended_at
  HAVING count(DISTINCT w.worker) >= 2
),
started AS (
  SELECT m.team_id, m.began_at
  FROM (
    SELECT t.team_id, d.started_at
    FROM deliveries AS d JOIN team_of AS t USING (run, consumer_group)
    WHERE d.started_at IS NOT NULL AND t.team_id IN (SELECT team_id FROM manned)
  ) AS d
  ASOF JOIN manned AS m ON m.team_id = d.team_id AND d.started_at >= m.began_at
  WHERE d.started_at < m.ended_at
)
SELECT row_number() OVER () AS span, m.*
FROM manned AS m JOIN (SELECT team_id, began_at, count(*) AS starts FROM started GROUP BY ALL) AS s USING (team_id, began_at)
WHERE s.starts >= 20 * m.consumers;

-- Busy windows of teams (`source` null) and of single sources: `consumers` alive, `starts` of handlers in it, by which
-- `workers`, and a few of the messages. In a team that shares nothing, a message that more than one handled counts for no
-- worker.
CREATE OR REPLACE TEMP TABLE busy_windows AS
WITH busy_teams AS (SELECT DISTINCT team_id FROM spans),
attempts AS (
  SELECT t.team_id, d.run, d.message, d.consumer, d.source, coalesce(d.shard, -1) AS shard, d.started_at, d.result
  FROM deliveries AS d JOIN team_of AS t USING (run, consumer_group)
  WHERE d.started_at IS NOT NULL AND t.team_id IN (SELECT team_id FROM busy_teams)
),
-- From its acknowledgement to the first start of a handler a message waits, if the team handles it at all.
waits AS (
  SELECT a.team_id, a.source, a.shard, a.started_at, m.acked_at
  FROM (
    SELECT
      team_id, run, message, arg_min(source, started_at) AS source, arg_min(shard, started_at) AS shard,
      min(started_at) AS started_at
    FROM attempts
    WHERE message IS NOT NULL
    GROUP BY team_id, run, message
    HAVING bool_or(result = 'handled')
  ) AS a
  JOIN messages AS m USING (run, message)
  WHERE m.acked_at < a.started_at
),
-- A lane is a source, or a shard of it: each must have one waiting.
lanes AS (
  SELECT row_number() OVER () AS lane, *
  FROM (
    SELECT t.team_id, h.source, coalesce(h.shard, -1) AS shard, min(h.began_at) AS since
    FROM tenures AS h JOIN team_of AS t USING (run, consumer_group)
    WHERE t.team_id IN (SELECT team_id FROM busy_teams)
    GROUP BY ALL
  )
),
in_lanes AS (
  SELECT l.team_id, l.lane, w.acked_at, w.started_at FROM waits AS w JOIN lanes AS l USING (team_id, source, shard)
),
steps AS (
  SELECT team_id, lane, acked_at AS moment, 1 AS change FROM in_lanes
  UNION ALL
  SELECT team_id, lane, started_at, -1 FROM in_lanes
  UNION ALL
  SELECT team_id, lane, since, 0 FROM lanes
  UNION ALL
  SELECT s.team_id, l.lane, s.began_at, 0 FROM spans AS s JOIN lanes AS l USING (team_id) WHERE s.began_at >= l.since
),
counted AS (
  SELECT
    team_id, lane, moment,
    sum(change) OVER all_lanes AS waiting, lead(moment) OVER all_lanes AS next_moment,
    sum(change) OVER one_lane AS waiting_here, lead(moment) OVER one_lane AS next_here
  FROM steps
  WINDOW
    all_lanes AS (PARTITION BY team_id ORDER BY moment, change, lane ROWS UNBOUNDED PRECEDING),
    one_lane AS (PARTITION BY lane ORDER BY moment, change ROWS UNBOUNDED PRECEDING)
),
moments AS (
  SELECT c.*, s.span, s.consumers, s.ended_at AS span_ended_at
  FROM counted AS c ASOF JOIN spans AS s ON s.team_id = c.team_id AND c.moment >= s.began_at
  WHERE c.moment < s.ended_at
),
-- The waiting of a source of several shards; elsewhere a source is a lane.
sharded AS (
  SELECT
    m.span, m.consumers, m.span_ended_at, l.source, m.moment, lead(m.moment) OVER one_source AS next_moment,
    sum(m.waiting_here - m.waited_here) OVER one_source AS waiting_here
  FROM (
    SELECT *, coalesce(lag(waiting_here) OVER (PARTITION BY span, lane ORDER BY moment, next_here), 0) AS waited_here
    FROM moments
    WHERE lane IN (SELECT lane FROM lanes WHERE shard <> -1)
  ) AS m
  JOIN lanes AS l USING (lane)
  WINDOW one_source AS (PARTITION BY m.span, l.source ORDER BY m.moment, m.lane ROWS UNBOUNDED PRECEDING)
),
scopes AS (
  SELECT s.span, NULL::BIGINT AS source, s.began_at, s.ended_at FROM spans AS s
  UNION ALL
  SELECT DISTINCT s.span, l.source, s.began_at, s.ended_at FROM spans AS s JOIN lanes AS l USING (team_id)
),
ruled_out AS (
  SELECT span, NULL::BIGINT AS source, moment AS began_at, coalesce(next_moment, span_ended_at) AS ended_at
  FROM moments
  WHERE waiting < 10 * consumers
  UNION ALL
  SELECT span, NULL, moment, coalesce(next_here, span_ended_at) FROM moments WHERE waiting_here = 0
  UNION ALL
  SELECT m.span, l.source, m.moment, coalesce(m.next_here, m.span_ended_at)
  FROM moments AS m JOIN lanes AS l USING (lane)
  WHERE m.waiting_here < CASE WHEN l.shard = -1 THEN 10 * m.consumers ELSE 1 END
  UNION ALL
  SELECT span, source, moment, coalesce(next_moment, span_ended_at) FROM sharded WHERE waiting_here < 10 * consumers
  UNION ALL
  SELECT span, source, began_at, began_at FROM scopes
  UNION ALL
  SELECT span, source, ended_at, ended_at FROM scopes
),
free AS (
  SELECT
    span, source, began_at AS ended_at,
    max(ended_at) OVER (
      PARTITION BY span, source ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS began_at
  FROM ruled_out
),
windows AS (
  SELECT s.team_id, s.consumers, f.source, coalesce(f.source, -1) AS scope, f.began_at, f.ended_at
  FROM free AS f JOIN spans AS s USING (span)
  WHERE f.ended_at > f.began_at
),
scoped AS (
  SELECT *, -1 AS scope FROM attempts
  UNION ALL
  SELECT *, source AS scope FROM attempts
),
-- What more than one of a team handled is no sharing.
by_several AS (
  SELECT team_id, message
  FROM attempts
  WHERE result = 'handled' AND team_id IN (SELECT team_id FROM teams WHERE members > 1)
  GROUP BY team_id, message
  HAVING min(consumer) <> max(consumer)
),
filled AS (
  SELECT
    w.team_id, w.source, w.began_at, w.ended_at, w.consumers, count(*) AS starts,
    list_sort(list(DISTINCT a.consumer) FILTER (b.message IS NULL)) AS workers,
    arg_min(a.message, a.started_at, 2) FILTER (a.message IS NOT NULL) AS examples
  FROM scoped AS a
  ASOF JOIN windows AS w ON w.team_id = a.team_id AND w.scope = a.scope AND a.started_at >= w.began_at
  LEFT JOIN by_several AS b ON b.team_id = a.team_id AND b.message = a.message
  WHERE a.started_at < w.ended_at
  GROUP BY ALL
  HAVING count(*) >= 20 * w.consumers
)
SELECT t.run, CASE WHEN t.members = 1 THEN t.consumer_group ELSE t.team END AS team, f.* REPLACE (coalesce(f.workers, []) AS workers)
FROM filled AS f JOIN teams AS t USING (team_id);
