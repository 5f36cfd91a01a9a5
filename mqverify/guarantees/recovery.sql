-- MQ134 recovery
-- promise: After the last fault every group moves again within T, and clears its debts.
-- meaning: When the last fault has ended (dead workers are back, or stay dead for good), a group with a live consumer may have
--   debts: messages that were acknowledged by then, and that it has not handled. It is violated if from then on, for `within`,
--   no handler of the group starts or ends, or none of a source with debts (a {place}, or what is subscribed to; or a shard of
--   it); a handler that was busy all the time and ends well moves. What a group that drained never handled is lost and is not
--   waited for. With `drain` it is also violated if a debt, a lost one too, is not handled that long after. A run that ended
--   before says nothing; nor does a group that moved and then gave up with debts, without `drain`.
-- untested: no fault ended while a group that was alive still had messages to handle, and handled them; move its `when:` to where
--   work waits
-- needs: shared clock, parked
-- parameters: within: duration required; drain: duration
-- cannot: a time shorter than it takes to notice a death (a session or message time-out); a shard whose consumer stays dead.
-- mends: a shorter session or message time-out; consumers that are restarted; less work in one hand.

-- obligations
-- That a group moved in time says nothing if it then gave up with debts in its hands, unless `drain` tells how long they may last.
WITH given_up AS (
  SELECT DISTINCT run, consumer_group FROM dues WHERE drain IS NULL AND handled_at IS NULL AND NOT drained
)
SELECT run, count(*) AS obligations
FROM dues ANTI JOIN given_up USING (run, consumer_group)
WHERE moving_decided AND (waits OR drain IS NOT NULL) AND (drain IS NULL OR remains IS NOT NULL)
GROUP BY run;

-- violations
WITH still AS (
  SELECT s.*, bool_or(s.source IS NULL) OVER (PARTITION BY s.run, s.consumer_group) AS all_still
  FROM stirrings AS s
  WHERE s.decided AND NOT s.in_time
),
left_over AS (
  SELECT
    run, consumer_group, healed_at, any_value(drain) AS drain, count(*) AS remaining, count(*) FILTER (handled_at IS NULL) AS never,
    arg_min(message, acked_at, 2) AS examples, max(handled_at) AS cleared_at
  FROM dues
  WHERE remains
  GROUP BY run, consumer_group, healed_at
)
SELECT
  s.run, s.consumer_group, NULL::VARCHAR AS key, s.examples AS messages, s.source AS place, s.healed_at + s.within AS noticed_at,
  'the last fault ended at ' || moment(s.healed_at) || ', and for ' || lasting(s.within) || ' ' || the_group(s.consumer_group)
  || ' neither started nor ended a handler' || CASE WHEN s.source IS NULL THEN '' ELSE
    ' of ' || CASE s.shard WHEN -1 THEN '' ELSE 'shard ' || s.shard || ' of ' END || coalesce(quoted(p.name), 'a {place}') END
  || ', though ' || s.waiting || CASE s.waiting WHEN 1 THEN ' message' ELSE ' messages' END || ' of it waited; '
  || CASE WHEN s.moved_at IS NULL THEN 'it never moved again' ELSE 'it moved at ' || moment(s.moved_at) END AS sentence
FROM still AS s LEFT JOIN places AS p ON p.run = s.run AND p.id = s.source
WHERE s.source IS NULL OR NOT s.all_still
UNION ALL
SELECT
  run, consumer_group, NULL, examples, NULL, healed_at + drain,
  'the last fault ended at ' || moment(healed_at) || ', and ' || lasting(drain) || ' later ' || the_group(consumer_group)
  || ' still had to handle ' || remaining || CASE remaining WHEN 1 THEN ' message' ELSE ' messages' END
  || ' that had been acknowledged by then; ' || CASE
    WHEN never > 0 THEN CASE WHEN never = remaining AND never = 1 THEN 'it' ELSE never::VARCHAR END
      || CASE never WHEN 1 THEN ' never was handled' ELSE ' never were handled' END
    ELSE 'the last was handled at ' || moment(cleared_at) END
FROM left_over
ORDER BY run, noticed_at, consumer_group, place;

-- figures
SELECT run, 'until a group moved' AS figure, (moved_at - healed_at)::DOUBLE AS value, lasting(moved_at - healed_at) AS shown
FROM stirrings
WHERE source IS NULL AND moved_at IS NOT NULL
UNION ALL
SELECT
  run, 'until its debts were cleared',
  CASE WHEN bool_or(handled_at IS NULL) THEN 'infinity'::DOUBLE ELSE max(handled_at - healed_at)::DOUBLE END,
  CASE WHEN bool_or(handled_at IS NULL) THEN 'endless' ELSE lasting(max(handled_at - healed_at)) END
FROM dues
GROUP BY run, consumer_group;
