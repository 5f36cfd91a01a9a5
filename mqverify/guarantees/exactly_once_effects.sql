-- MQ104 exactly_once_effects
-- promise: Every message a group is owed takes effect in its sink exactly once, or is parked.
-- meaning: As exactly_once, counted in the rows of the group's sink instead of handlings: what an idempotent sink spares or a
--   transactional one refuses is no effect. Violated by an owed message that took effect not exactly once (a parked one:
--   more than once), by one of unknown outcome that took effect twice, and by one whose send failed for certain and that
--   took effect. The half that waits, at least once, is judged in groups that drained; a second effect is a violation in
--   any. A group whose sink was not recorded is not judged.
-- untested: no message was owed to a group whose sink was recorded
-- needs: effects, drained, parked
-- parameters: none
-- cannot: a plain sink: whatever is handled again takes effect again, as after a crash before settling.
-- mends: `sink: idempotent` behind settling after handling; or `settle: with_effect` with a transactional sink.

-- obligations
SELECT run, count(*) AS obligations
FROM (
  SELECT run FROM owed_effects WHERE decided OR times > 1
  UNION ALL
  SELECT a.run
  FROM applied AS a JOIN messages AS m USING (run, message)
  WHERE (m.outcome = 'unknown' AND a.times > 1) OR m.outcome = 'failed'
)
GROUP BY run;

-- violations
SELECT run, consumer_group, key, [message] AS messages, place, noticed_at, sentence
FROM (
  SELECT run, consumer_group, key, message, place, acked_at AS noticed_at, sentence
  FROM effects_missing
  UNION ALL
  SELECT
    r.run, r.consumer_group, m.key, r.message, m.partition, r.second_at,
    the_message(r.message, m.key, m.sequence) || CASE WHEN m.outcome = 'unknown' THEN ', whose send timed out,' ELSE '' END
    || ' took effect ' || r.times || ' times in the sink of ' || the_group(r.consumer_group) || ', first by ' || r.first_by
    || ' at ' || moment(r.first_at) || ', then by ' || r.second_by || ' at ' || moment(r.second_at)
  FROM repeated_effects AS r JOIN messages AS m USING (run, message)
  WHERE m.outcome = 'unknown'
    OR (r.run, r.consumer_group, r.message) IN (SELECT (run, consumer_group, message) FROM owed_effects)
  UNION ALL
  SELECT
    a.run, a.consumer_group, m.key, a.message, m.partition, a.applied_at,
    the_message(a.message, m.key, m.sequence) || ' took effect in the sink of ' || the_group(a.consumer_group) || ' at '
    || moment(a.applied_at) || ', though its send had failed for certain'
  FROM applied AS a JOIN messages AS m USING (run, message)
  WHERE m.outcome = 'failed'
)
ORDER BY run, noticed_at, message, consumer_group;
