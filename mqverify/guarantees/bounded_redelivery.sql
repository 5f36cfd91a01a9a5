-- MQ133 bounded_redelivery
-- promise: No group is handed a message more than N times.
-- meaning: A message violates it if it was delivered to a group, to whichever of its consumers, more than `at_most` times.
--   Attempts in place are one delivery. Put to the test are messages that were delivered to a group more than once.
-- untested: no message was delivered a second time; crash a consumer; a handler that is tried again in place makes none
-- needs: nothing
-- parameters: at_most: count >= 1 required
-- cannot: retries without end; a consumer that dies of a message each time (a disconnect counts no retry).
-- mends: a limit of retries (`max_retry_count`), then parking; `on_failure: park` or `skip` after some attempts.

-- obligations
SELECT run, count(*) AS obligations
FROM redelivered_messages SEMI JOIN given('bounded_redelivery', 'at_most') USING (run)
GROUP BY run;

-- violations
WITH too_often AS (
  SELECT r.*, TRY_CAST(g.value AS BIGINT) AS allowed
  FROM redelivered_messages AS r JOIN given('bounded_redelivery', 'at_most') AS g USING (run)
  WHERE r.times > TRY_CAST(g.value AS BIGINT)
),
ranked AS (
  SELECT
    d.run, d.consumer_group, d.message, t.allowed, t.times, d.source, d.delivered_at, d.redelivered,
    who(d.consumer, d.incarnation) AS receiver,
    row_number() OVER (PARTITION BY d.run, d.consumer_group, d.message ORDER BY d.delivered_at, d.delivery) AS nth
  FROM deliveries AS d JOIN too_often AS t USING (run, consumer_group, message)
  WHERE d.attempt = 1
)
SELECT
  o.run, o.consumer_group, m.key, [o.message] AS messages, o.source AS place, o.delivered_at AS noticed_at,
  the_group(o.consumer_group) || ' was handed ' || the_message(o.message, m.key, m.sequence) || ' ' || o.times
  || ' times, ' || o.allowed || ' being allowed: first ' || f.receiver || ' at ' || moment(f.delivered_at)
  || ', once too often ' || o.receiver || ' at ' || moment(o.delivered_at)
  || coalesce(' (retry ' || o.redelivered || ')', '') AS sentence
FROM ranked AS o
JOIN ranked AS f ON f.run = o.run AND f.consumer_group = o.consumer_group AND f.message = o.message AND f.nth = 1
LEFT JOIN messages AS m ON m.run = o.run AND m.message = o.message
WHERE o.nth = o.allowed + 1
ORDER BY o.run, o.delivered_at, o.message, o.consumer_group;

-- figures
SELECT run, 'most deliveries of a message' AS figure, max(times)::DOUBLE AS value, max(times)::VARCHAR AS shown
FROM redelivered_messages SEMI JOIN given('bounded_redelivery', 'at_most') USING (run)
GROUP BY run;
