-- MQ142 idempotent_append
-- promise: A message that is sent again is stored once.
-- meaning: A message that its application tried to send more than once violates it if one reading finds it in more than one
--   {position} of where messages lie. Links to it do not count, nor what was aborted.
-- untested: no message was sent again before a fresh reader looked; write `on_unknown: retry`, and lose an acknowledgement
-- needs: readings
-- parameters: none
-- cannot: a broker that knows nothing of what an application sends again (Kafka), or forgets it (Event Store, in time).
-- mends: the same event id again with the exact expected revision; idempotent handlers.

-- obligations
SELECT t.run, count(*) AS obligations
FROM tried_again AS t
JOIN (SELECT run, max(read_at) AS read_at FROM seen_places GROUP BY run) AS s USING (run)
WHERE t.last_invoked < s.read_at
GROUP BY t.run;

-- violations
WITH copies AS (
  SELECT DISTINCT l.run, l.reading, l.message, l.partition, l.position
  FROM log AS l JOIN tried_again AS t USING (run, message)
  WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted'
),
stored AS (
  SELECT run, reading, message, count(*) AS times, list((partition, position) ORDER BY partition, position) AS spots
  FROM copies
  GROUP BY run, reading, message
  HAVING count(*) > 1
),
first_seen AS (
  SELECT s.*, b.read_at
  FROM stored AS s
  JOIN (SELECT run, reading, min(read_at) AS read_at FROM bounds WHERE place = 'main' GROUP BY run, reading) AS b
    USING (run, reading)
  QUALIFY row_number() OVER (PARTITION BY s.run, s.message ORDER BY b.read_at, s.reading) = 1
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
