-- MQ136 scales_with_consumers
-- promise: With enough work waiting, consumers that are added share it.
-- meaning: It takes a busy window: a stretch without fault, rebalance, join or leave, with two consumers alive or
--   more, in which at each moment at least 10 messages for each of them wait that the group handles later, every
--   partition, stream or shard in question has one waiting, and in which at least 20 handlings for each of them
--   start. It is violated by a group in none of whose busy windows `at_least` distinct consumers (all that are
--   alive, unless given) start a handler. They need not overlap. Consumers that share nothing are judged together,
--   and a message that more than one of them handled counts for nobody. Who has not joined yet, or does not know
--   yet that it is out, joins or leaves.
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
)
SELECT
  run, team AS consumer_group, NULL::VARCHAR AS key, examples AS messages, NULL::BIGINT AS place,
  ended_at AS noticed_at,
  'with ' || consumers || ' consumers of ' || quoted(team) || ' alive and work waiting, '
  || CASE at_work
    WHEN 0 THEN 'no message was handled by one of them alone'
    WHEN 1 THEN 'only ' || quoted(workers[1]) || ' handled anything that no other did'
    ELSE 'only ' || at_work || ' ever started a handler'
      || CASE WHEN at_work <= 10 THEN ' (' || array_to_string([quoted(one) FOR one IN workers], ', ') || ')' ELSE '' END
  END
  || ' in the best of ' || seen || CASE seen WHEN 1 THEN ' busy window' ELSE ' busy windows' END || ', from '
  || moment(began_at) || ' to ' || moment(ended_at) || ', in which ' || started || ' handlers started; ' || wanted
  || ' were to share the work' AS sentence
FROM best
WHERE NOT shared
ORDER BY run, team;
