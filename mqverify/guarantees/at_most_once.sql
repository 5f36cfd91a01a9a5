-- MQ102 at_most_once
-- promise: No group handles a message twice.
-- meaning: A message violates it if two handlings of it by one group ended well, by whichever consumer and whether it was
--   owed or not. A delivery whose handler did not end, failed or was refused by a transactional sink is no handling.
-- untested: no message was handled
-- needs: nothing
-- parameters: none
-- cannot: settling after handling (a crash between the two repeats the message); a paused consumer that wakes up.
-- mends: settle before handling, and bear the losses; or a transactional sink (`settle: with_effect`).

-- obligations
SELECT run, count(*) AS obligations
FROM handlings
GROUP BY run;

-- violations
SELECT
  r.run, r.consumer_group, m.key, [r.message] AS messages, m.partition AS place, r.second_at AS noticed_at,
  the_group(r.consumer_group) || ' handled ' || the_message(r.message, m.key, m.sequence) || ' ' || r.times
  || ' times, first by ' || r.first_by || ' at ' || moment(r.first_at) || ', then by ' || r.second_by || ' at ' || moment(r.second_at)
  AS sentence
FROM repeats AS r LEFT JOIN messages AS m USING (run, message)
ORDER BY r.run, r.second_at, r.message, r.consumer_group;
