-- MQ123 no_duplicate_writes
-- promise: No message is stored twice.
-- meaning: A message violates it if one reading, or those of the end together, find it in more than one {position} of where
--   messages lie, be it in one {place} or in two. Links to it do not count, nor what was aborted. Who wrote it again does
--   not matter: the client on its own, the application, or the broker. Put to the test is a message that a whole reading
--   of its {place} finds after its last try, and where no other copy can have been removed: the reading begins at 0, or shows
--   what was acknowledged before the message was sent, and the {place} is not compacted. Of a message that its
--   application sent again all of the reading's places have to be so.
-- untested: no message was found by a fresh reader that saw all there was
-- needs: readings, shared clock
-- parameters: none
-- cannot: retries without idempotence, by the client or by the application: an append whose answer was lost is made again.
-- mends: an idempotent producer (Kafka); the same event id again with the exact expected revision (Event Store).

-- obligations
SELECT m.run, count(*) AS obligations
FROM messages AS m SEMI JOIN comparable_clocks USING (run)
SEMI JOIN (
  SELECT l.run, l.message, w.read_at, w.since, a.since AS all_since
  FROM log AS l
  JOIN shown_since AS w USING (run, reading, partition)
  LEFT JOIN all_shown_since AS a USING (run, reading)
  WHERE l.place = 'main' AND l.source IS NOT DISTINCT FROM l.partition AND l.visible IS DISTINCT FROM 'uncommitted' AND w.whole
) AS f
  ON f.run = m.run AND f.message = m.message AND m.last_try_at < f.read_at
  AND CASE WHEN m.tries = 1 THEN f.since ELSE f.all_since END < m.first_invoked
GROUP BY m.run;

-- violations
SELECT
  s.run, NULL::VARCHAR AS consumer_group, m.key, [s.message] AS messages, s.spots[1][1] AS place, s.read_at AS noticed_at,
  the_message(s.message, m.key, m.sequence) || CASE
    WHEN m.message IS NULL THEN ', which nobody sent,'
    WHEN m.tries = 1 THEN ', sent once by ' || quoted(m.producer) || ' at ' || moment(m.first_invoked) || ','
    ELSE ', sent ' || m.tries || ' times by ' || quoted(m.producer) || ' from ' || moment(m.first_invoked) || ' on,'
  END || ' is stored ' || s.times || ' times: a fresh reader that began at ' || moment(s.read_at) || ' found it at '
  || lies_at(p.name, s.spots[1][2]) || ' and at ' || lies_at(q.name, s.spots[2][2]) AS sentence
FROM stored_twice AS s
LEFT JOIN messages AS m USING (run, message)
LEFT JOIN places AS p ON p.run = s.run AND p.id = s.spots[1][1]
LEFT JOIN places AS q ON q.run = s.run AND q.id = s.spots[2][1]
ORDER BY s.run, s.read_at, s.message;
