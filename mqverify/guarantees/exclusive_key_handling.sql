-- MQ115 exclusive_key_handling
-- promise: Within a group a key is in the hands of one consumer at a time.
-- meaning: A message is in hand from the start of its handler to its end, else to the end of the incarnation, else of the run;
--   a pause does not end it, a kill does. Violated by a key that two consumers of one group have in hand at one time. Two
--   groups may well hold one key. One row a key: the first time it happened.
-- needs: shared clock
-- parameters: none
-- cannot: several consumers that compete for one stream, unless it pins a key to one; a consumer that pauses for longer than
--   its session lasts goes on with what it has in hand.
-- mends: one consumer at a time for each partition or stream; handlers well below the session and poll time-outs; a sink that
--   refuses writers whose tenure is over.

-- obligations
SELECT run, count(*) AS obligations
FROM (
  SELECT run, consumer_group, key
  FROM deliveries SEMI JOIN comparable_clocks USING (run)
  WHERE started_at IS NOT NULL AND key IS NOT NULL
  GROUP BY run, consumer_group, key
  HAVING min(consumer) <> max(consumer)
)
GROUP BY run;

-- violations
WITH several AS (
  SELECT row_number() OVER () AS its_key, *
  FROM (
    SELECT run, consumer_group, key
    FROM deliveries SEMI JOIN comparable_clocks USING (run)
    WHERE started_at IS NOT NULL AND key IS NOT NULL
    GROUP BY run, consumer_group, key
    HAVING min(consumer) <> max(consumer)
  )
),
hands AS (
  SELECT
    s.its_key, d.run, d.consumer_group, d.key, d.message, d.sequence, d.consumer, d.incarnation, d.source, d.started_at,
    coalesce(d.ended_at, w.ended_at, r.ended_at) AS until
  FROM deliveries AS d
  JOIN several AS s USING (run, consumer_group, key)
  JOIN runs AS r USING (run)
  LEFT JOIN workers AS w ON w.run = d.run AND w.worker = d.consumer AND w.incarnation = d.incarnation
  WHERE d.started_at < coalesce(d.ended_at, w.ended_at, r.ended_at)
),
-- Who of those that began before has the key in hand for longest.
longest AS (
  SELECT *, max(until) OVER began AS longest_until, arg_max(consumer, until) OVER began AS longest_by
  FROM hands
  WINDOW began AS (PARTITION BY its_key ORDER BY started_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
-- A consumer that still has a message of the key in hand itself may hide another one who has, too.
held_by_two AS (
  SELECT l.*
  FROM longest AS l
  WHERE l.longest_until > l.started_at
    AND (
      l.longest_by <> l.consumer
      OR EXISTS (
        SELECT 1 FROM hands AS o
        WHERE o.its_key = l.its_key AND o.consumer <> l.consumer AND o.started_at <= l.started_at AND o.until > l.started_at
      )
    )
  QUALIFY row_number() OVER (PARTITION BY l.its_key ORDER BY l.started_at, l.consumer, l.message) = 1
)
SELECT
  t.run, t.consumer_group, t.key, [one FOR one IN [t.message, o.message] IF one IS NOT NULL] AS messages,
  t.source AS place, t.started_at AS noticed_at,
  who(t.consumer, t.incarnation) || ' began to handle ' || the_message(t.message, t.key, t.sequence) || ' at '
  || moment(t.started_at) || ' while ' || who(o.consumer, o.incarnation) || ' had '
  || CASE
    WHEN o.message IS NOT DISTINCT FROM t.message THEN 'the same message'
    ELSE the_message(o.message, o.key, o.sequence)
  END
  || ' in hand, from ' || moment(o.started_at) || ' to ' || moment(o.until) AS sentence
FROM held_by_two AS t
JOIN hands AS o
  ON o.its_key = t.its_key AND o.consumer <> t.consumer AND o.started_at <= t.started_at AND o.until > t.started_at
QUALIFY row_number() OVER (PARTITION BY t.its_key ORDER BY o.until DESC, o.started_at, o.consumer, o.message) = 1
ORDER BY t.run, t.started_at, t.consumer_group, t.key;
