-- MQ135 no_head_of_line_blocking
-- promise: A message that fails holds up no other key for longer than T.
-- meaning: Looked at is each message whose handler failed, from its first failure to its end: handled, parked, skipped (also by
--   a settlement of all before a {position} beyond it), or the run's end. It is violated if for longer than `within` an owed
--   message of another key, of the same source (a {place}, or what is subscribed to), or shard of it, waits (acknowledged,
--   never started), and the whole time no message of it that never failed is started. One that the run's end cuts off before
--   somebody could wait for so long puts nothing to the test.
-- untested: no message failed while one of another key waited behind it; use `poison`, and send faster
-- needs: shared clock
-- parameters: within: duration required
-- cannot: one consumer at a time for each {place} that retries in place, or retries for ever.
-- mends: `attempts` and then `park` or `skip`; competing consumers; a {place} for each key.

-- obligations
SELECT run, count(*) AS obligations
FROM held_up
WHERE others > 0
GROUP BY run;

-- violations
SELECT
  b.run, b.consumer_group, b.key, [one FOR one IN [b.message, b.example] IF one IS NOT NULL] AS messages, b.source AS place,
  b.until AS noticed_at,
  the_message(b.message, b.key, m.sequence) || ' of ' || coalesce(quoted(p.name), 'a {place}') || ' failed at '
  || moment(b.failed_at) || ' and was ' || CASE
    WHEN b.end_by = 'run' THEN 'neither handled nor put aside by the end'
    ELSE b.end_by || ' at ' || moment(b.ended_at) END
  || '; meanwhile ' || the_group(b.consumer_group) || ' started nothing of ' || CASE b.shard WHEN -1 THEN 'it' ELSE 'its shard' END
  || ' that had not failed from '
  || moment(b.since) || ' to ' || moment(b.until) || ', for ' || printf('%.3f s', (b.until - b.since) / 1e9) || ', though '
  || b.waiting || CASE b.waiting WHEN 1 THEN ' message of another key waited' ELSE ' messages of other keys waited' END
  AS sentence
FROM blockades AS b
LEFT JOIN messages AS m ON m.run = b.run AND m.message = b.message
LEFT JOIN places AS p ON p.run = b.run AND p.id = b.source
ORDER BY b.run, b.until, b.message, b.consumer_group;
