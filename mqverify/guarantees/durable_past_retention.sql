-- MQ122 durable_past_retention
-- promise: An acknowledged message is there for ever: a reader that comes at the very end still finds it.
-- meaning: An acknowledged message violates it if the reader that reads at the end what the subscription reads does not find
--   it, for whatever reason; nothing is exempt. It is put to the test by messages acknowledged before time passed, records
--   or a stream were deleted, or a scavenge ran. `reader` asks another kind of reader: all, stream.
-- untested: no message was acknowledged before time passed or records were removed; add a fault such as `pass: 8d`
-- needs: readings
-- parameters: reader: text
-- cannot: any retention by age or size; compaction; $maxAge, $maxCount, truncation.
-- mends: unlimited retention (`retention: unlimited`, `retention_bytes: unlimited`); Event Store without $maxAge or $maxCount.

-- obligations
SELECT e.run, count(*) AS obligations
FROM ending AS e
LEFT JOIN given('durable_past_retention', 'reader') AS g USING (run)
LEFT JOIN (
  SELECT run, max(began_at) AS began_at
  FROM faults
  WHERE kind IN ('pass', 'delete_records', 'delete_stream', 'scavenge') AND took_effect
  GROUP BY run
) AS f USING (run)
WHERE CASE WHEN g.value IS NULL THEN e.subscribed ELSE e.reader = g.value END
  AND ((e.acked_at < f.began_at AND (e.found OR e.decided)) OR (e.decided AND NOT e.found))
GROUP BY e.run;

-- violations
SELECT
  e.run, NULL::VARCHAR AS consumer_group, e.key, [e.message] AS messages, e.partition AS place, e.read_at AS noticed_at,
  the_message(e.message, e.key, e.sequence) || ' was acknowledged at ' || moment(e.acked_at)
  || CASE WHEN e.position IS NULL THEN '' ELSE ' as ' || lies_at(p.name, e.position) END
  || '; a fresh reader that began at ' || moment(e.read_at) || ' does not find it any more'
  || CASE
    WHEN e.position < e.first_position THEN ': what is left begins at {position} ' || e.first_position
    ELSE ''
  END AS sentence
FROM ending AS e
LEFT JOIN given('durable_past_retention', 'reader') AS g USING (run)
LEFT JOIN places AS p ON p.run = e.run AND p.id = e.partition
WHERE CASE WHEN g.value IS NULL THEN e.subscribed ELSE e.reader = g.value END AND e.decided AND NOT e.found
ORDER BY e.run, e.acked_at, e.message;
