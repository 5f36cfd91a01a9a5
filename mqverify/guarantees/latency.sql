-- MQ151 latency
-- promise: Of the messages a group is owed, so many in a hundred are handled within T of being sent.
-- meaning: Each parameter but the last bounds a percentile (nearest rank; `max` is the slowest) of the time from when a producer
--   first invoked the send of an owed message to the end of its first handling, in each group and run. One that is never
--   handled takes for ever; parked ones are left out. With `outside_faults` what was under way is left out from each fault's
--   beginning until the group has found together again and has cleared what it was owed by then. A producer that falls
--   behind its `rate` invokes later, and that is not counted.
-- untested: no owed message was measured; with `outside_faults` all may have been under way in a fault: send for longer
-- needs: shared clock, parked
-- parameters: at least one of p50: duration; p95: duration; p99: duration; p999: duration; max: duration; outside_faults: flag = false
-- cannot: less than a session or message time-out while a consumer is dead; more work than consumers can do.
-- mends: more consumers and partitions; shorter time-outs; smaller batches; handlers that never wait.

-- obligations
SELECT run, sum(measured) AS obligations
FROM (SELECT DISTINCT run, consumer_group, measured FROM percentiles WHERE doubtful = 0)
GROUP BY run;

-- violations
WITH slow AS (SELECT * FROM percentiles WHERE took IS NULL OR took > allowed),
slower AS (
  SELECT s.run, s.consumer_group, s.name, count(*) AS too_slow
  FROM slow AS s JOIN latencies AS l USING (run, consumer_group)
  WHERE NOT l.in_doubt AND (l.took IS NULL OR l.took > s.allowed)
  GROUP BY s.run, s.consumer_group, s.name
),
slowest AS (
  SELECT *
  FROM latencies SEMI JOIN slow USING (run, consumer_group)
  WHERE NOT in_doubt
  QUALIFY row_number() OVER (PARTITION BY run, consumer_group ORDER BY took DESC NULLS FIRST, message DESC) = 1
)
SELECT
  s.run, s.consumer_group, w.key, [w.message] AS messages, NULL::BIGINT AS place, coalesce(w.handled_at, w.first_invoked) AS noticed_at,
  s.name || ' of ' || the_group(s.consumer_group) || ' was ' || coalesce(lasting(s.took), 'endless') || ', more than the '
  || lasting(s.allowed) || ' allowed: ' || n.too_slow || ' of ' || s.measured
  || CASE s.measured WHEN 1 THEN ' message' ELSE ' messages' END || ' took longer; the slowest, '
  || the_message(w.message, w.key, w.sequence) || ', sent at ' || moment(w.first_invoked) || ', was '
  || CASE
    WHEN w.took IS NULL THEN 'never handled'
    ELSE 'first handled at ' || moment(w.handled_at) || ', after ' || lasting(w.took) END AS sentence
FROM slow AS s
JOIN slower AS n USING (run, consumer_group, name)
JOIN slowest AS w ON w.run = s.run AND w.consumer_group = s.consumer_group
ORDER BY s.run, s.consumer_group, s.permille;

-- figures
SELECT
  run, CASE name WHEN 'max' THEN 'slowest' ELSE name END AS figure, coalesce(took::DOUBLE, 'infinity') AS value,
  coalesce(lasting(took), 'endless') AS shown
FROM percentiles
ORDER BY permille;
