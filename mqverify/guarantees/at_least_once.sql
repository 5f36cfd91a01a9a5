-- MQ101 at_least_once
-- promise: Every message a group is owed is handled at least once, or parked.
-- meaning: An owed message violates it if the group never handled it and its parked place, when last read, does not hold it.
--   Owed is every acknowledged message if the group starts at the beginning; if at the end, what was sent after its first
--   start. Nothing later reduces the debt: expiry, a reset or a skip is a violation whose witness names the cause. Only a group
--   whose last member the spec removed is owed no more than what it had settled or handled by then.
-- untested: no message was owed: none was acknowledged, or none that a group which starts at the end has to see
-- needs: drained, parked
-- parameters: none
-- cannot: settling before handling is at-most-once by design; retention shorter than an outage; acks 0.
-- mends: settle after handling; retention longer than any outage; reset policy `earliest`; acks of all replicas.

-- obligations
SELECT run, count(*) AS obligations
FROM owed
WHERE drained AND NOT in_doubt
GROUP BY run;

-- violations
SELECT run, consumer_group, key, [message] AS messages, place, acked_at AS noticed_at, sentence
FROM losses
ORDER BY run, consumer_group, acked_at, message;
