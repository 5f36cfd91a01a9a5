-- MQ103 exactly_once
-- promise: Every message a group is owed is handled exactly once, or parked.
-- meaning: Violated by an owed message that the group handled not exactly once (a parked one: more than once), by one of
--   unknown outcome handled twice, and by one whose send failed for certain and that was handled. The half that waits,
--   at least once, is judged in groups that drained; handled twice is a violation in any.
-- untested: no message was owed, and none whose send had timed out or failed was handled
-- needs: drained, parked
-- parameters: none
-- cannot: any settling apart from the effect: a crash between the two loses or repeats the message.
-- mends: `settle: with_effect` with a transactional sink; else an idempotent sink, and judge exactly_once_effects.

-- obligations
SELECT run, count(*) AS obligations
FROM (
  SELECT run FROM owed WHERE (drained AND NOT in_doubt) OR times > 1
  UNION ALL
  SELECT h.run
  FROM handlings AS h JOIN messages AS m USING (run, message)
  WHERE (m.outcome = 'unknown' AND h.times > 1) OR m.outcome = 'failed'
)
GROUP BY run;

-- violations
SELECT run, consumer_group, key, [message] AS messages, place, noticed_at, sentence
FROM (
  SELECT run, consumer_group, key, message, place, acked_at AS noticed_at, sentence
  FROM losses
  UNION ALL
  SELECT
    r.run, r.consumer_group, m.key, r.message, m.partition, r.second_at,
    the_group(r.consumer_group) || ' handled ' || the_message(r.message, m.key, m.sequence)
    || CASE WHEN m.outcome = 'unknown' THEN ', whose send timed out, ' ELSE ' ' END || r.times
    || ' times, first by ' || r.first_by || ' at ' || moment(r.first_at) || ', then by ' || r.second_by || ' at ' || moment(r.second_at)
  FROM repeats AS r JOIN messages AS m USING (run, message)
  WHERE m.outcome = 'unknown'
    OR (r.run, r.consumer_group, r.message) IN (SELECT (run, consumer_group, message) FROM owed WHERE times > 1)
  UNION ALL
  SELECT
    h.run, h.consumer_group, m.key, h.message, m.partition, h.handled_at,
    the_group(h.consumer_group) || ' handled ' || the_message(h.message, m.key, m.sequence) || ' at '
    || moment(h.handled_at) || ', though its send had failed for certain'
  FROM handlings AS h JOIN messages AS m USING (run, message)
  WHERE m.outcome = 'failed'
)
ORDER BY run, noticed_at, message, consumer_group;
