-- Shared pieces of MQ104: what took effect in the groups' sinks. How pieces are made: views.sql.

-- How often each message took effect in a group's sink, and the first time.
CREATE OR REPLACE TEMP TABLE applied AS
SELECT run, consumer_group, message, count(*) AS times, min(applied_at) AS applied_at
FROM effects
WHERE message IS NOT NULL
GROUP BY run, consumer_group, message;

-- Messages that took effect in a sink more than once, with the first two effects.
CREATE OR REPLACE TEMP TABLE repeated_effects AS
WITH ranked AS (
  SELECT
    run, consumer_group, message, consumer, incarnation, applied_at,
    row_number() OVER (PARTITION BY run, consumer_group, message ORDER BY applied_at, consumer) AS nth
  FROM effects
  WHERE (run, consumer_group, message) IN (SELECT (run, consumer_group, message) FROM applied WHERE times > 1)
)
SELECT
  run, consumer_group, message, max(nth) AS times,
  any_value(who(consumer, incarnation)) FILTER (nth = 1) AS first_by, any_value(applied_at) FILTER (nth = 1) AS first_at,
  any_value(who(consumer, incarnation)) FILTER (nth = 2) AS second_by, any_value(applied_at) FILTER (nth = 2) AS second_at
FROM ranked
GROUP BY run, consumer_group, message;

-- What groups whose effects were recorded are owed, and how often it took effect. `decided`: whether it can be told that it
-- did not: the group drained, and it lies in no parked place that nobody read.
CREATE OR REPLACE TEMP TABLE owed_effects AS
SELECT
  o.run, o.consumer_group, o.message, o.key, o.sequence, o.partition, o.position, o.acked_at, o.handled_at, o.is_parked,
  coalesce(a.times, 0) AS times, o.drained AND (a.message IS NOT NULL OR o.is_parked OR NOT o.may_be_parked) AS decided
FROM owed AS o
SEMI JOIN recorded_sinks USING (run, consumer_group)
LEFT JOIN applied AS a USING (run, consumer_group, message);

-- group billing was owed message 17 (key a, sequence 3), …, and it never took effect: why
CREATE OR REPLACE TEMP VIEW effects_missing AS
SELECT
  o.run, o.consumer_group, o.key, o.message, o.partition AS place, o.acked_at,
  'the sink of ' || the_group(o.consumer_group) || ' never got the effect of ' || the_message(o.message, o.key, o.sequence)
  || ', which was acknowledged at ' || moment(o.acked_at) || ' as ' || lies_at(p.name, o.position) || ': '
  || coalesce(
    l.cause, who(h.consumer, h.incarnation) || ' handled it at ' || moment(h.handled_at) || ', and nothing came of it'
  ) AS sentence
FROM owed_effects AS o
LEFT JOIN lost AS l USING (run, consumer_group, message)
LEFT JOIN handlings AS h USING (run, consumer_group, message)
LEFT JOIN places AS p ON p.run = o.run AND p.id = o.partition
WHERE o.decided AND o.times = 0 AND NOT o.is_parked;
