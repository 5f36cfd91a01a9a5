-- MQ101 at_least_once
-- promise: Every message a group is owed is handled at least once, or parked.
-- meaning: An owed message violates it if the group neither handled it nor has it in its parked place in the last reading
--   of that place. Owed is every acked message if the group starts at the beginning; if at the end, what was sent after its
--   first start. Nothing reduces the debt: expiry, a reset, a skip are violations whose witness names the cause.
-- needs: drained, parked
-- parameters: none
-- cannot: settling before handling (at-most-once by design), retention shorter than a group may be down, acks 0.
-- mends: settle after handling; retention longer than any outage; a reset policy of `earliest`; acks of all replicas.

-- obligations
SELECT run, count(*) AS obligations
FROM owed
WHERE drained AND NOT in_doubt
GROUP BY run;

-- violations
SELECT run, consumer_group, key, [message] AS messages, partition AS place, acked_at AS noticed_at,
  the_message(message, key, sequence) AS sentence
FROM owed
WHERE drained AND NOT in_doubt AND times = 0 AND NOT is_parked
ORDER BY run, consumer_group, acked_at, message;
