-- Busy windows (SEMANTICS §3), shared by MQ136 and MQ137. How pieces are made: views.sql. `tenures`:
-- views_order.sql.
--
-- A team is the spec's group: one group, or the consumers of a catch-up subscription that share nothing (each a
-- group of its own). A span is a stretch without fault, rebalance, join or leave; windows are the parts of a span
-- in which enough waits. Everything that rules a moment out is an interval; spans and windows are what such
-- intervals leave free, found by a running maximum of their ends.

CREATE OR REPLACE TEMP TABLE team_of AS
SELECT
  run, consumer_group, dense_rank() OVER (ORDER BY run, team) AS team_id,
  CASE WHEN count(*) OVER same_team = 1 THEN consumer_group ELSE team END AS team, count(*) OVER same_team AS members,
  bool_or(delivery = 'exclusive') OVER same_team AS exclusive
FROM groups SEMI JOIN comparable_clocks USING (run)
WINDOW same_team AS (PARTITION BY run, team);

-- Moments at which it is not settled who works on what: (team_id, began_at, ended_at).
CREATE OR REPLACE TEMP TABLE unsettled AS
WITH lives AS (
  SELECT
    t.team_id, t.exclusive, w.worker, w.incarnation, w.began_at,
    least(coalesce(w.ended_at, r.ended_at), r.ended_at) AS ended_at
  FROM workers AS w JOIN team_of AS t USING (run, consumer_group) JOIN runs AS r USING (run)
  WHERE w.kind = 'consumer'
),
-- Where sources are handed round, each goes from tenure to tenure; elsewhere each consumer does.
held AS (
  SELECT
    t.team_id, t.exclusive, h.consumer, h.incarnation, h.began_at, coalesce(h.done_at, h.ended_at) AS done_at,
    h.ended_at, h.changed, r.ended_at AS run_ended_at, least(coalesce(w.ended_at, r.ended_at), r.ended_at) AS gone_at,
    CASE WHEN t.exclusive THEN h.source::VARCHAR ELSE h.consumer END AS baton
  FROM tenures AS h
  JOIN team_of AS t USING (run, consumer_group)
  JOIN runs AS r USING (run)
  LEFT JOIN workers AS w ON w.run = h.run AND w.worker = h.consumer AND w.incarnation = h.incarnation
),
-- Who leaves gives back what it held and is waited for no longer; a source that it had goes to another.
waiting AS (
  SELECT
    r.team_id, r.ended_at AS began_at,
    coalesce(t.began_at, CASE WHEN NOT r.exclusive THEN greatest(r.ended_at, r.gone_at) END, r.run_ended_at) AS ended_at
  FROM held AS r ASOF LEFT JOIN held AS t ON t.team_id = r.team_id AND t.baton = r.baton AND r.ended_at <= t.began_at
  WHERE r.changed OR (r.exclusive AND r.ended_at < r.run_ended_at)
),
-- A consumer that does not know yet that a source of its is another one's by now.
ousted AS (
  SELECT team_id, next_began_at AS began_at, ended_at
  FROM (
    SELECT *, lead(began_at) OVER (PARTITION BY team_id, baton ORDER BY began_at) AS next_began_at
    FROM held
    WHERE exclusive
  )
  WHERE next_began_at < ended_at
),
-- A consumer has joined when its first assignment is done; one that gets no source, when the last of its group is.
joining AS (
  SELECT
    l.team_id, l.began_at,
    CASE
      WHEN o.done_at IS NOT NULL THEN o.done_at
      WHEN l.exclusive AND g.done_at >= l.began_at THEN least(g.done_at, l.ended_at)
      ELSE l.ended_at
    END AS ended_at
  FROM lives AS l
  LEFT JOIN (SELECT team_id, consumer, incarnation, min(done_at) AS done_at FROM held GROUP BY ALL) AS o
    ON o.team_id = l.team_id AND o.consumer = l.worker AND o.incarnation = l.incarnation
  LEFT JOIN (SELECT team_id, max(done_at) AS done_at FROM held GROUP BY ALL) AS g ON g.team_id = l.team_id
)
SELECT team_id, began_at, ended_at FROM waiting
UNION ALL
SELECT team_id, began_at, ended_at FROM ousted
UNION ALL
SELECT team_id, began_at, ended_at FROM joining
UNION ALL
SELECT team_id, ended_at, ended_at FROM lives
UNION ALL
SELECT team_id, began_at, done_at FROM held
UNION ALL
SELECT t.team_id, f.began_at, coalesce(f.ended_at, r.ended_at)
FROM faults AS f JOIN runs AS r USING (run) JOIN team_of AS t USING (run)
WHERE f.took_effect AND f.began_at IS NOT NULL
UNION ALL
SELECT t.team_id, r.ended_at, r.ended_at FROM team_of AS t JOIN runs AS r USING (run);

-- Spans with two consumers or more, all alive throughout, and the handlings that start in them (`starts`).
CREATE OR REPLACE TEMP TABLE spans AS
WITH free AS (
  SELECT
    team_id, began_at AS ended_at,
    max(ended_at) OVER (
      PARTITION BY team_id ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS began_at
  FROM unsettled
)
SELECT row_number() OVER () AS span, f.team_id, f.began_at, f.ended_at, count(DISTINCT w.worker) AS consumers
FROM free AS f
JOIN team_of AS t USING (team_id)
JOIN workers AS w ON w.run = t.run AND w.consumer_group = t.consumer_group AND w.kind = 'consumer'
WHERE f.ended_at > f.began_at AND w.began_at <= f.began_at AND (w.ended_at IS NULL OR w.ended_at >= f.ended_at)
GROUP BY f.team_id, f.began_at, f.ended_at
HAVING count(DISTINCT w.worker) >= 2;

-- A lane is a source that a team consumes, or a shard of it: each must have one waiting.
CREATE OR REPLACE TEMP TABLE lanes AS
SELECT
  row_number() OVER () AS lane, t.team_id, h.run, h.source, coalesce(h.shard, -1) AS shard,
  min(h.began_at) AS since
FROM tenures AS h JOIN team_of AS t USING (run, consumer_group)
WHERE t.team_id IN (SELECT team_id FROM spans)
GROUP BY t.team_id, h.run, h.source, coalesce(h.shard, -1);

-- Handlings that started. In a team of several that share nothing, `shared` leaves out what more than one handled.
CREATE OR REPLACE TEMP TABLE starts AS
SELECT
  d.run, l.team_id, l.lane, d.message, d.consumer, d.started_at, d.result = 'handled' AS is_handled,
  t.members = 1 OR d.message IS NULL OR (t.team_id, d.message) NOT IN (
    SELECT (o.team_id, e.message)
    FROM deliveries AS e JOIN team_of AS o USING (run, consumer_group)
    WHERE o.members > 1 AND e.result = 'handled' AND e.message IS NOT NULL
    GROUP BY o.team_id, e.message
    HAVING min(e.consumer) <> max(e.consumer)
  ) AS shared
FROM deliveries AS d
JOIN team_of AS t USING (run, consumer_group)
JOIN lanes AS l ON l.team_id = t.team_id AND l.source = d.source AND l.shard = coalesce(d.shard, -1)
WHERE d.started_at IS NOT NULL;

-- What changes how many wait: from its acknowledgement to the first start of a handler a message waits, if the
-- team handles it at all. A change of 0 is the beginning of a lane or of a span.
CREATE OR REPLACE TEMP TABLE steps AS
WITH waits AS (
  SELECT s.team_id, s.lane, s.started_at, m.acked_at
  FROM (
    SELECT team_id, run, message, arg_min(lane, started_at) AS lane, min(started_at) AS started_at
    FROM starts
    WHERE message IS NOT NULL
    GROUP BY team_id, run, message
    HAVING bool_or(is_handled)
  ) AS s
  JOIN messages AS m USING (run, message)
  WHERE m.acked_at < s.started_at
)
SELECT team_id, lane, acked_at AS moment, 1 AS change FROM waits
UNION ALL
SELECT team_id, lane, started_at, -1 FROM waits
UNION ALL
SELECT team_id, lane, since, 0 FROM lanes
UNION ALL
SELECT s.team_id, l.lane, s.began_at, 0 FROM spans AS s JOIN lanes AS l USING (team_id) WHERE s.began_at >= l.since;

-- Where too few may wait: how many, in all lanes of the team and in this one, from a step to the next, within a
-- span.
CREATE OR REPLACE TEMP TABLE queues AS
SELECT
  s.span, s.consumers, c.lane, c.moment, c.waiting, c.waiting_here,
  coalesce(c.next_moment, s.ended_at) AS next_moment, coalesce(c.next_here, s.ended_at) AS next_here
FROM (
  SELECT
    team_id, lane, moment, sum(change) OVER all_lanes AS waiting, lead(moment) OVER all_lanes AS next_moment,
    sum(change) OVER one_lane AS waiting_here, lead(moment) OVER one_lane AS next_here
  FROM steps
  WINDOW
    all_lanes AS (PARTITION BY team_id ORDER BY moment, change, lane ROWS UNBOUNDED PRECEDING),
    one_lane AS (PARTITION BY lane ORDER BY moment, change ROWS UNBOUNDED PRECEDING)
) AS c
JOIN (SELECT team_id, 10 * max(consumers) AS most FROM spans GROUP BY team_id) AS t
  ON t.team_id = c.team_id AND (c.waiting < t.most OR c.waiting_here < t.most)
ASOF JOIN spans AS s ON s.team_id = c.team_id AND c.moment >= s.began_at
WHERE c.moment < s.ended_at;

-- What is left when the moments are ruled out at which too few wait: for the team (`lane` 0), and for each lane
-- that is a source by itself.
CREATE OR REPLACE TEMP TABLE openings AS
WITH ruled_out AS (
  SELECT span, 0 AS lane, moment AS began_at, next_moment AS ended_at FROM queues WHERE waiting < 10 * consumers
  UNION ALL
  SELECT span, 0, moment, next_here FROM queues WHERE waiting_here = 0
  UNION ALL
  SELECT span, lane, moment, next_here FROM queues WHERE waiting_here < 10 * consumers
  UNION ALL
  SELECT span, unnest([0, lane]), began_at, began_at FROM spans JOIN lanes USING (team_id)
  UNION ALL
  SELECT span, unnest([0, lane]), ended_at, ended_at FROM spans JOIN lanes USING (team_id)
),
free AS (
  SELECT
    span, lane, began_at AS ended_at,
    max(ended_at) OVER (
      PARTITION BY span, lane ORDER BY began_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS began_at
  FROM ruled_out
)
SELECT s.team_id, s.consumers, f.lane, f.began_at, f.ended_at
FROM free AS f JOIN spans AS s USING (span)
WHERE f.ended_at > f.began_at AND (f.lane = 0 OR f.lane IN (SELECT lane FROM lanes WHERE shard = -1));

-- Busy windows of teams (`source` null) and of single sources: `consumers` alive, how many handlings start in it,
-- by which `workers`, and the first messages of these. Where a source is split in shards and is the only one, the
-- team's are its own.
CREATE OR REPLACE TEMP TABLE busy_windows AS
WITH filled AS (
  SELECT
    o.team_id, o.lane, o.began_at, o.ended_at, o.consumers, count(*) AS started,
    list_sort(list(DISTINCT s.consumer) FILTER (s.shared)) AS workers,
    arg_min(s.message, s.started_at, 2) FILTER (s.message IS NOT NULL) AS examples
  FROM (SELECT *, unnest([0, lane]) AS scope FROM starts) AS s
  ASOF JOIN openings AS o ON o.team_id = s.team_id AND o.lane = s.scope AND s.started_at >= o.began_at
  WHERE s.started_at < o.ended_at
  GROUP BY ALL
  HAVING count(*) >= 20 * o.consumers
),
sources AS (
  SELECT team_id, CASE WHEN shard = -1 THEN lane ELSE 0 END AS lane, any_value(source) AS source
  FROM lanes
  GROUP BY ALL
  HAVING count(DISTINCT source) = 1
)
SELECT
  t.run, t.team_id, t.team, t.members, NULL::BIGINT AS source, f.* EXCLUDE (team_id, lane, workers),
  coalesce(f.workers, []) AS workers
FROM filled AS f JOIN (SELECT DISTINCT run, team_id, team, members FROM team_of) AS t USING (team_id)
WHERE f.lane = 0
UNION ALL
SELECT t.run, t.team_id, t.team, t.members, s.source, f.* EXCLUDE (team_id, lane, workers), coalesce(f.workers, [])
FROM filled AS f
JOIN (SELECT DISTINCT run, team_id, team, members FROM team_of) AS t USING (team_id)
JOIN sources AS s USING (team_id, lane);

-- Consumers alive throughout a busy window of their team: how many handlings they started that were handled (`handled`), and
-- their share (`fair`) of what the team did while they lived: of each the part that all who were alive had alike. Both are sums
-- over the stretches between a consumer's coming and another's going.
CREATE OR REPLACE TEMP TABLE work_shares AS
WITH lives AS (
  SELECT t.team_id, w.worker, w.began_at, least(coalesce(w.ended_at, r.ended_at), r.ended_at) + 1 AS gone_at
  FROM workers AS w JOIN team_of AS t USING (run, consumer_group) JOIN runs AS r USING (run)
  WHERE w.kind = 'consumer' AND t.team_id IN (SELECT team_id FROM busy_windows WHERE source IS NULL)
),
changes AS (
  SELECT team_id, began_at AS moment, 1 AS change FROM lives
  UNION ALL
  SELECT team_id, gone_at, -1 FROM lives
),
stretches AS (
  SELECT team_id, moment, sum(sum(change)) OVER (PARTITION BY team_id ORDER BY moment) AS alive
  FROM changes
  GROUP BY team_id, moment
),
work AS (
  SELECT team_id, consumer, message, started_at FROM starts WHERE is_handled AND shared
),
done AS (
  SELECT s.team_id, s.moment, count(*) AS handled
  FROM work AS w ASOF JOIN stretches AS s ON s.team_id = w.team_id AND w.started_at >= s.moment
  GROUP BY s.team_id, s.moment
),
reached AS (
  SELECT
    s.team_id, s.moment, coalesce(sum(CASE WHEN s.alive > 0 THEN d.handled / s.alive END) OVER before, 0) AS fair,
    coalesce(sum(d.handled) OVER before, 0) AS handled
  FROM stretches AS s LEFT JOIN done AS d USING (team_id, moment)
  WINDOW before AS (PARTITION BY s.team_id ORDER BY s.moment ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
portions AS (
  SELECT l.team_id, l.worker, sum(e.fair - b.fair) AS fair, sum(e.handled - b.handled)::BIGINT AS of_all
  FROM lives AS l
  JOIN reached AS b ON b.team_id = l.team_id AND b.moment = l.began_at
  JOIN reached AS e ON e.team_id = l.team_id AND e.moment = l.gone_at
  GROUP BY l.team_id, l.worker
),
own AS (
  SELECT team_id, consumer AS worker, count(*) AS handled, arg_min(message, started_at, 2) FILTER (message IS NOT NULL) AS examples,
    max(started_at) AS last_at
  FROM work
  GROUP BY team_id, consumer
),
throughout AS (
  SELECT l.team_id, l.worker, min(b.consumers) AS fewest, max(b.consumers) AS most
  FROM busy_windows AS b JOIN lives AS l USING (team_id)
  WHERE b.source IS NULL AND l.began_at <= b.began_at AND l.gone_at > b.ended_at
  GROUP BY l.team_id, l.worker
)
SELECT
  t.run, t.team, p.team_id, p.worker, coalesce(o.handled, 0) AS handled, p.fair, p.of_all, h.fewest, h.most,
  coalesce(o.examples, []) AS examples, o.last_at
FROM portions AS p
JOIN throughout AS h USING (team_id, worker)
JOIN (SELECT DISTINCT run, team_id, team FROM team_of) AS t USING (team_id)
LEFT JOIN own AS o USING (team_id, worker)
WHERE p.fair > 0;
