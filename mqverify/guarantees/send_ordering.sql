-- MQ116 send_ordering
-- promise: Messages of a key are stored in the order in which their producer sent them.
-- meaning: Compared are two messages of one key and one producer that one reading found in one {place}, of which one was
--   surely sent before the other: the try of it that was acknowledged was invoked before the other's first try was. It is
--   violated if the other one's first copy lies before its own. Later copies are no_duplicate_writes'; what timed out may
--   land at any time and is never the earlier one; what is not found is durable's. A message counts only if nothing that
--   may have held an earlier copy of it had been removed: the reading begins at 0, or shows what was acknowledged before
--   the message was sent, and the {place} is not compacted.
-- untested: no fresh reader found two messages of one key of which one was surely sent before the other; send more messages a key
-- needs: readings
-- parameters: none
-- cannot: several sends in flight that are retried without idempotence: one that failed lands behind the next.
-- mends: an idempotent producer; or one send in flight (`in_flight: one`, or max_in_flight_requests_per_connection 1).

-- obligations
SELECT run, count(DISTINCT (partition, message)) AS obligations
FROM first_copies JOIN (
  SELECT run, reading, partition, key, producer, max(first_invoked) AS sent_last
  FROM first_copies
  GROUP BY run, reading, partition, key, producer
) USING (run, reading, partition, key, producer)
WHERE certain AND acked_invoked < sent_last
GROUP BY run;

-- violations
WITH late AS (
  SELECT *
  FROM jumbled_copies
  WHERE certain AND acked_invoked < sent_before_it
  QUALIFY row_number() OVER (PARTITION BY run, partition, message ORDER BY read_at, reading) = 1
)
SELECT
  a.run, NULL::VARCHAR AS consumer_group, a.key, [a.message, b.message] AS messages, a.partition AS place,
  a.read_at AS noticed_at,
  the_message(a.message, a.key, a.sequence) || ' was sent by ' || quoted(a.producer) || ' at ' || moment(a.acked_invoked)
  || ', before message ' || b.message || ' (sequence ' || b.sequence || ') at ' || moment(b.first_invoked)
  || ', and lies behind it: a fresh reader that began at ' || moment(a.read_at) || ' found them at '
  || lies_at(p.name, a.position) || ' and at ' || b.position AS sentence
FROM late AS a
JOIN jumbled_copies AS b
  ON b.run = a.run AND b.reading = a.reading AND b.partition = a.partition AND b.key = a.key AND b.producer = a.producer
  AND b.first_invoked = a.sent_before_it AND b.position < a.position
LEFT JOIN places AS p ON p.run = a.run AND p.id = a.partition
QUALIFY row_number() OVER (PARTITION BY a.run, a.partition, a.message ORDER BY b.position, b.message) = 1
ORDER BY a.run, a.acked_invoked, a.message, a.partition;
