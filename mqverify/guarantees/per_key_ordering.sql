-- MQ111 per_key_ordering
-- promise: Within each group the messages of a key are handled in the order they were sent.
-- meaning: Compared are two messages of one key, both handled by the group, of which one was surely sent before
--   the other. Surely sent before: the try that was acknowledged was invoked before the other's first try was;
--   from another producer, it was acknowledged before that. It is violated if the later one was first handled
--   before the earlier one was. What timed out may land at any time and is never the earlier one; a message that
--   was never handled, or parked, is not out of order; handlers that overlap are judged by when they ended (that
--   they overlap is MQ115's).
-- untested: no group handled two messages of one key of which one was surely sent before the other; send more messages a key
-- needs: shared clock
-- parameters: none
-- cannot: records without the key as record key on more than one partition; a changed number of partitions;
--   several consumers that compete for one stream.
-- mends: the aggregate's id as record key on a fixed number of partitions, or a stream for each aggregate; one
--   consumer at a time for each; an idempotent producer, or one send in flight.

-- obligations
SELECT run, count(*) AS obligations
FROM handled_after
GROUP BY run;

-- violations
WITH overtaken AS (SELECT * FROM handled_after WHERE latest_before > handled_at)
SELECT
  o.run, o.consumer_group, b.key, [o.message, a.message] AS messages, late.source AS place,
  o.latest_before AS noticed_at,
  the_message(o.message, b.key, b.sequence) || ' was handled by ' || who(late.consumer, late.incarnation)
  || ' at ' || moment(o.handled_at) || ', before ' || the_message(a.message, a.key, a.sequence)
  || ', which was sent before it and was first handled by ' || who(early.consumer, early.incarnation)
  || ' at ' || moment(o.latest_before) AS sentence
FROM overtaken AS o
JOIN messages AS b ON b.run = o.run AND b.message = o.message
JOIN handlings AS late ON late.run = o.run AND late.consumer_group = o.consumer_group AND late.message = o.message
JOIN handlings AS early
  ON early.run = o.run AND early.consumer_group = o.consumer_group AND early.handled_at = o.latest_before
JOIN messages AS a ON a.run = early.run AND a.message = early.message
WHERE a.key = b.key AND a.message <> b.message
  AND CASE WHEN a.producer = b.producer THEN a.acked_invoked ELSE a.acked_at END < b.first_invoked
QUALIFY row_number() OVER (PARTITION BY o.run, o.consumer_group, o.message ORDER BY a.acked_invoked DESC, a.message) = 1
ORDER BY o.run, noticed_at, o.consumer_group, o.message;
