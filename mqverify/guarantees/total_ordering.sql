-- MQ114 total_ordering
-- promise: All groups handle all messages in one order, and none before one that was acknowledged before it was sent.
-- meaning: It is violated if two groups first handle two messages, which both of them handle, in different orders; or if a group
--   first handles b before a, though a was acknowledged before b was first sent. Consumers that share nothing are a group each.
--   Groups are compared with each other only where each has one order: of one consumer, or of one {place} (or whatever it
--   subscribed to). Where one of several groups has none, nothing but a violation is decided.
-- untested: no two messages were handled of which one was acknowledged before the other was sent, or by two groups
-- needs: shared clock, one order
-- parameters: none
-- cannot: several partitions, which nothing orders among each other; consumers that compete; redelivery after a failure.
-- mends: a single partition or stream (or `$all`), with one consumer in each group; order per key instead, which is cheaper.

-- obligations
WITH compared AS (
  SELECT run, sum(common - 1) AS pairs
  FROM (SELECT run, count(*) AS common FROM handled_by_two GROUP BY run, one, other)
  GROUP BY run
  HAVING sum(common - 1) > 0
),
decided AS (
  SELECT run FROM groups GROUP BY run HAVING count(*) = 1
  UNION
  SELECT run FROM compared ANTI JOIN out_of_line USING (run)
)
SELECT run, pairs AS obligations FROM compared SEMI JOIN decided USING (run)
UNION ALL
SELECT run, count(*) FROM handled_after_acked SEMI JOIN decided USING (run) GROUP BY run;

-- violations
WITH swapped AS (
  SELECT s.*, a.message AS earlier, a.by_one AS earlier_by_one
  FROM handled_by_two AS s
  JOIN handled_by_two AS a
    ON a.run = s.run AND a.one = s.one AND a.other = s.other AND a.by_other = s.latest_before AND a.by_one < s.by_one
  WHERE s.latest_before > s.by_other
  QUALIFY row_number() OVER (PARTITION BY s.run, s.one, s.other, s.message ORDER BY a.by_one) = 1
),
overtaken AS (
  SELECT s.*, a.message AS earlier
  FROM handled_after_acked AS s
  JOIN handlings AS a ON a.run = s.run AND a.consumer_group = s.consumer_group AND a.handled_at = s.latest_before
  JOIN messages AS m ON m.run = a.run AND m.message = a.message AND m.acked_at < s.first_invoked
  WHERE s.latest_before > s.handled_at AND (s.its_clock IS NULL OR m.producer = s.its_clock)
  QUALIFY row_number() OVER (PARTITION BY s.run, s.consumer_group, s.message ORDER BY m.acked_at) = 1
),
told AS (
  SELECT
    run, NULL::VARCHAR AS consumer_group, earlier, message, greatest(by_one, latest_before) AS noticed_at,
    ' first and then ' AS between_them, the_group(one) || ' handled ' AS before_them,
    ' (at ' || moment(earlier_by_one) || ' and ' || moment(by_one) || '), ' || the_group(other)
    || ' the other way round (at ' || moment(by_other) || ' and ' || moment(latest_before) || ')' AS behind_them
  FROM swapped
  UNION ALL
  SELECT
    o.run, o.consumer_group, o.earlier, o.message, o.latest_before,
    ' at ' || moment(o.latest_before) || ', after ', the_group(o.consumer_group) || ' first handled ',
    ' at ' || moment(o.handled_at) || ', though message ' || o.earlier || ' was acknowledged at ' || moment(a.acked_at)
    || ', before message ' || o.message || ' was sent at ' || moment(o.first_invoked)
  FROM overtaken AS o JOIN messages AS a ON a.run = o.run AND a.message = o.earlier
)
SELECT
  t.run, t.consumer_group, m.key, [t.earlier, t.message] AS messages, NULL::BIGINT AS place, t.noticed_at,
  t.before_them || the_message(t.earlier, a.key, a.sequence) || t.between_them
  || the_message(t.message, m.key, m.sequence) || t.behind_them AS sentence
FROM told AS t
LEFT JOIN messages AS a ON a.run = t.run AND a.message = t.earlier
LEFT JOIN messages AS m ON m.run = t.run AND m.message = t.message
ORDER BY t.run, t.noticed_at, t.message, t.consumer_group NULLS FIRST;
