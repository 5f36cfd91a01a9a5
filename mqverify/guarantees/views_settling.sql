-- Shared pieces about handling and settling: repeats, losses and their causes. How pieces are made: views.sql.

-- Messages that a group handled more than once, with the first two handlings.
CREATE OR REPLACE TEMP TABLE repeats AS
WITH ranked AS (
  SELECT
    run, consumer_group, message, consumer, incarnation, ended_at,
    row_number() OVER (PARTITION BY run, consumer_group, message ORDER BY ended_at, consumer) AS nth
  FROM deliveries
  WHERE result = 'handled' AND message IS NOT NULL
    AND (run, consumer_group, message) IN (SELECT (run, consumer_group, message) FROM handlings WHERE times > 1)
)
SELECT
  run, consumer_group, message, max(nth) AS times,
  any_value(who(consumer, incarnation)) FILTER (nth = 1) AS first_by, any_value(ended_at) FILTER (nth = 1) AS first_at,
  any_value(who(consumer, incarnation)) FILTER (nth = 2) AS second_by, any_value(ended_at) FILTER (nth = 2) AS second_at
FROM ranked
GROUP BY run, consumer_group, message;

-- Settlements of all positions below one, in their order along a source, and when the earliest that reached as far was
-- invoked: when a message was first settled past is one ASOF join. Only of groups that missed something.
CREATE OR REPLACE TEMP TABLE settled_past AS
SELECT
  run, consumer_group, source, source_position,
  min(invoked_at) OVER (
    PARTITION BY run, consumer_group, source ORDER BY source_position
    ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
  ) AS earliest
FROM (
  SELECT run, consumer_group, source, source_position, min(invoked_at) AS invoked_at
  FROM settlements
  WHERE covers = 'below' AND outcome = 'acked' AND action NOT IN ('retry', 'expire')
    AND (run, consumer_group) IN (SELECT (run, consumer_group) FROM owed WHERE times = 0)
  GROUP BY run, consumer_group, source, source_position
);

-- What a group was owed and neither handled nor parked, in groups that drained, and in words why.
CREATE OR REPLACE TEMP TABLE lost AS
WITH gone AS (SELECT * FROM owed WHERE drained AND NOT in_doubt AND times = 0 AND NOT is_parked),
nacked AS (
  SELECT
    s.run, s.consumer_group, coalesce(s.message, p.message) AS message, bool_or(s.action = 'park') AS parked,
    bool_or(s.action = 'skip') AS skipped, min(s.invoked_at) AS invoked_at,
    arg_min(settler(s.settled_by, s.consumer, s.incarnation), s.invoked_at) AS settler
  FROM settlements AS s
  LEFT JOIN source_positions AS p
    ON p.run = s.run AND p.source = s.source AND p.source_position = s.source_position
  WHERE s.covers = 'one' AND s.action IN ('park', 'skip', 'ack') AND s.outcome = 'acked'
    AND (s.run, s.consumer_group) IN (SELECT (run, consumer_group) FROM gone)
  GROUP BY s.run, s.consumer_group, coalesce(s.message, p.message)
),
tried AS (
  SELECT run, consumer_group, message, count(*) AS deliveries, count(*) FILTER (result = 'failed') AS failures,
    count(*) FILTER (result = 'refused') AS refusals,
    arg_max(who(consumer, incarnation), delivered_at) AS last_by
  FROM deliveries
  WHERE (run, consumer_group, message) IN (SELECT (run, consumer_group, message) FROM gone)
  GROUP BY run, consumer_group, message
),
passed AS (
  SELECT g.run, g.consumer_group, g.message, g.source, s.earliest
  FROM (SELECT g.*, p.source, p.source_position FROM gone AS g JOIN source_positions AS p USING (run, message)) AS g
  ASOF JOIN settled_past AS s
    ON s.run = g.run AND s.consumer_group = g.consumer_group AND s.source = g.source
    AND g.source_position < s.source_position
),
skipped AS (
  SELECT
    g.run, g.consumer_group, g.message, g.source, a.start_position, a.start_from, a.done_at, who(a.consumer, a.incarnation) AS starter
  FROM (SELECT g.*, p.source, p.source_position FROM gone AS g JOIN source_positions AS p USING (run, message)) AS g
  JOIN (
    SELECT run, consumer_group, source, min(done_at) AS done_at
    FROM assignments
    WHERE start_from IN ('reset_beginning', 'reset_end')
    GROUP BY ALL
  ) AS any_reset USING (run, consumer_group, source)
  ASOF JOIN (SELECT * FROM assignments WHERE start_from IN ('reset_beginning', 'reset_end') AND change = 'assigned') AS a
    ON a.run = g.run AND a.consumer_group = g.consumer_group AND a.source = g.source
    AND g.source_position < a.start_position
)
SELECT
  g.*,
  CASE
    WHEN u.parked_until IS NOT NULL THEN 'it was parked at ' || moment(u.parked_until) || ', and is not any more'
    WHEN n.parked THEN 'it was to be parked, yet it is not among the parked messages'
    WHEN n.skipped THEN 'it was skipped'
    WHEN n.settler IS NOT NULL THEN n.settler || ' acknowledged it at ' || moment(n.invoked_at) || CASE
      WHEN t.deliveries > 0 THEN ', though no handler had ended well' ELSE ', though it had not been delivered' END
    WHEN s.earliest IS NOT NULL AND (x.run IS NULL OR s.earliest <= x.last_found_at)
      THEN s.settler || CASE s.action
        WHEN 'checkpoint' THEN ' kept a checkpoint that covers it (' || lies_at(passed_in.name, told_position(s.action, s.reached))
        ELSE ' settled past it (' || unit_of(passed_in.name) || ' ' || s.reached END || ') at ' || moment(s.earliest)
        || CASE WHEN t.failures > 0 THEN ' after its handler had failed' ELSE '' END
    WHEN x.run IS NOT NULL
      THEN 'it ' || CASE WHEN x.by_age THEN 'expired' ELSE 'was removed' END || ' before it was read ('
        || coalesce('still there at ' || moment(x.last_found_at) || ', ', '') || 'gone by ' || moment(x.gone_at) || ')'
    WHEN k.start_from IS NOT NULL
      THEN k.starter || ' started behind it, at ' || unit_of(began_in.name) || ' ' || k.start_position || ', by the reset policy at ' || moment(k.done_at)
        || coalesce(', since what the group had settled there had expired at ' || moment(e.expired_at), '')
    WHEN t.failures > 0 THEN 'its handler failed every time'
    WHEN t.refusals > 0 THEN 'it was delivered to ' || t.last_by || ', and the sink refused it'
    WHEN t.deliveries > 0 THEN 'it was delivered to ' || t.last_by || ', which never finished it'
    ELSE 'it was never delivered'
  END AS cause
FROM gone AS g
LEFT JOIN nacked AS n USING (run, consumer_group, message)
LEFT JOIN tried AS t USING (run, consumer_group, message)
LEFT JOIN (
  SELECT
    p.run, p.consumer_group, p.message, min(p.earliest) AS earliest, arg_min(p.source, p.earliest) AS source,
    arg_min(settler(t.settled_by, t.consumer, t.incarnation), p.earliest) AS settler, arg_min(t.action, p.earliest) AS action,
    arg_min(t.source_position, p.earliest) AS reached
  FROM passed AS p
  JOIN settlements AS t
    ON t.run = p.run AND t.consumer_group = p.consumer_group AND t.source = p.source AND t.invoked_at = p.earliest
  WHERE t.covers = 'below' AND t.outcome = 'acked'
  GROUP BY p.run, p.consumer_group, p.message
) AS s USING (run, consumer_group, message)
LEFT JOIN (
  SELECT
    run, consumer_group, message, min(done_at) AS done_at, arg_min(start_position, done_at) AS start_position,
    arg_min(source, done_at) AS source,
    arg_min(start_from, done_at) AS start_from, arg_min(starter, done_at) AS starter
  FROM skipped
  GROUP BY run, consumer_group, message
) AS k USING (run, consumer_group, message)
LEFT JOIN (
  SELECT run, consumer_group, source, min(invoked_at) AS expired_at
  FROM settlements
  WHERE action = 'expire'
  GROUP BY run, consumer_group, source
) AS e ON e.run = g.run AND e.consumer_group = g.consumer_group AND e.source = k.source AND e.expired_at < k.done_at
LEFT JOIN expired AS x USING (run, message)
LEFT JOIN parked_until AS u USING (run, consumer_group, message)
LEFT JOIN places AS passed_in ON passed_in.run = g.run AND passed_in.id = s.source
LEFT JOIN places AS began_in ON began_in.run = g.run AND began_in.id = k.source;

-- group billing was owed message 17 (key a, sequence 3), acknowledged at 0.010 s as {position} 41 of orders-0, and …
CREATE OR REPLACE TEMP VIEW losses AS
SELECT
  l.run, l.consumer_group, l.key, l.message, l.partition AS place, l.acked_at,
  the_group(l.consumer_group) || ' never handled ' || the_message(l.message, l.key, l.sequence)
  || ', which was acknowledged at ' || moment(l.acked_at) || ' as ' || lies_at(p.name, l.position) || ': ' || l.cause AS sentence
FROM lost AS l LEFT JOIN places AS p ON p.run = l.run AND p.id = l.partition;
