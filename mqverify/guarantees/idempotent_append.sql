-- MQ142 idempotent_append
-- promise: A message that is sent again is stored once.
-- meaning: A message that its application tried to send more than once violates it if one reading, or those of the end
--   together, find it in more than one {position} of where messages lie. Links to it do not count, nor what was aborted. Put
--   to the test is one that a whole reading of its {place} finds after the last try, and in which nothing can have been
--   removed since the first: it begins at 0, or shows what was acknowledged before.
-- untested: no message was sent again by the application itself before a fresh reader looked; write `on_unknown: retry`, and
--   crash a producer
-- needs: readings
-- parameters: none
-- cannot: a broker that knows nothing of what an application sends again (Kafka), or forgets it (Event Store, in time).
-- mends: the same event id again with the exact expected revision; idempotent handlers.

-- obligations
SELECT t.run, count(DISTINCT t.message) AS obligations
FROM tried_again AS t
JOIN stored_copies AS c USING (run, message)
JOIN shown_since AS w USING (run, reading, partition)
WHERE c.of_its_place AND w.whole AND t.last_invoked < w.read_at AND w.since < t.first_invoked
GROUP BY t.run;

-- violations
WITH stored AS (
  SELECT
    run, look, message, min(read_at) AS read_at, count(DISTINCT (partition, position)) AS times,
    list_sort(list(DISTINCT (partition, position))) AS spots
  FROM stored_copies
  GROUP BY run, look, message
  HAVING count(DISTINCT (partition, position)) > 1
),
first_seen AS (
  FROM stored QUALIFY row_number() OVER (PARTITION BY run, message ORDER BY read_at, look) = 1
)
SELECT
  s.run, NULL::VARCHAR AS consumer_group, t.key, [s.message] AS messages, s.spots[1][1] AS place, s.read_at AS noticed_at,
  the_message(s.message, t.key, t.sequence) || ' was sent ' || t.tries || ' times, by ' || quoted(t.producer) || ' from '
  || moment(t.first_invoked) || ' to ' || moment(t.last_invoked) || ', and is stored ' || s.times
  || ' times: a fresh reader that began at ' || moment(s.read_at) || ' found it at ' || lies_at(p.name, s.spots[1][2])
  || ' and at ' || lies_at(q.name, s.spots[2][2]) AS sentence
FROM first_seen AS s
JOIN tried_again AS t USING (run, message)
LEFT JOIN places AS p ON p.run = s.run AND p.id = s.spots[1][1]
LEFT JOIN places AS q ON q.run = s.run AND q.id = s.spots[2][1]
ORDER BY s.run, s.read_at, s.message;
