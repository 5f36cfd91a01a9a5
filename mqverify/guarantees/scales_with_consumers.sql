-- MQ136 scales_with_consumers
-- promise: With enough work waiting, consumers that are added share it.
-- meaning: It takes a busy window: a stretch without fault, rebalance, join or leave, with two consumers alive or
--   more, in which at each moment at least 10 messages for each of them wait that the group handles later, every
--   partition, stream or shard in question has one waiting, and in which at least 20 handlings for each of them
--   start. It is violated by a group in none of whose busy windows `at_least` distinct consumers (all that are
--   alive, unless given) start a handler. They need not overlap. Consumers that share nothing are judged together,
--   and a message that more than one of them handled counts for nobody. Who has not joined yet, or does not know
--   yet that it is out, joins or leaves.
-- untested: no busy window: too few messages waited for two consumers or more at once; send faster, or handle slower
-- needs: shared clock
-- parameters: at_least: count = consumers
-- cannot: more consumers than partitions; catch-up subscriptions without shards, where everyone handles
--   everything.
-- mends: at least as many partitions as consumers; competing consumers; handlers that each take a shard of the
--   keys.

-- obligations
SELECT b.run, count(*) AS obligations
FROM busy_windows AS b LEFT JOIN given('scales_with_consumers', 'at_least') AS g USING (run)
WHERE b.source IS NULL AND b.consumers >= coalesce(try_cast(g.value AS BIGINT), b.consumers)
GROUP BY b.run;

-- violations
WITH asked AS (
  SELECT b.*, coalesce(try_cast(g.value AS BIGINT), b.consumers) AS wanted, len(b.workers) AS at_work
  FROM busy_windows AS b LEFT JOIN given('scales_with_consumers', 'at_least') AS g USING (run)
  WHERE b.source IS NULL AND b.consumers >= coalesce(try_cast(g.value AS BIGINT), b.consumers)
),
best AS (
  SELECT
    *, count(*) OVER (PARTITION BY team_id) AS seen,
    bool_or(at_work >= wanted) OVER (PARTITION BY team_id) AS shared
  FROM asked
  QUALIFY row_number() OVER (PARTITION BY team_id ORDER BY at_work DESC, began_at) = 1
),
-- Who was alive throughout, and did not work.
idle AS (
  SELECT b.team_id, list_sort(list(DISTINCT quoted(w.worker))) AS idle
  FROM best AS b
  JOIN team_of AS t USING (team_id)
  JOIN workers AS w ON w.run = t.run AND w.consumer_group = t.consumer_group AND w.kind = 'consumer'
  WHERE w.began_at <= b.began_at AND (w.ended_at IS NULL OR w.ended_at >= b.ended_at)
    AND NOT list_contains(b.workers, w.worker)
  GROUP BY b.team_id
)
SELECT
  b.run, b.team AS consumer_group, NULL::VARCHAR AS key, b.examples AS messages, NULL::BIGINT AS place,
  b.ended_at AS noticed_at,
  'with ' || b.consumers || ' consumers of ' || the_group(b.team) || ' alive and work waiting, '
  || CASE
    WHEN b.members > 1 AND b.at_work = 0 THEN 'no message was handled by one of them alone'
    WHEN b.members > 1 THEN 'only ' || b.at_work || ' handled a message that no other did'
    ELSE 'only ' || b.at_work || ' ever started a handler'
  END
  || CASE WHEN b.at_work > 0 AND len(i.idle) <= 5 THEN ' (not ' || array_to_string(i.idle, ', ') || ')' ELSE '' END
  || ' in the best of ' || b.seen || CASE b.seen WHEN 1 THEN ' busy window' ELSE ' busy windows' END || ', from '
  || moment(b.began_at) || ' to ' || moment(b.ended_at) || ', in which ' || b.started || ' handlers started; '
  || b.wanted || ' were to share the work' AS sentence
FROM best AS b LEFT JOIN idle AS i USING (team_id)
WHERE NOT b.shared
ORDER BY b.run, b.team;

-- figures
SELECT
  run, 'idle in the best busy window' AS figure, min(consumers - len(workers))::DOUBLE AS value,
  min(consumers - len(workers)) || ' of ' || arg_min(consumers, consumers - len(workers)) AS shown
FROM busy_windows
WHERE source IS NULL
GROUP BY run, team_id;
