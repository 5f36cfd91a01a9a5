-- MQ121 durable
-- promise: An acknowledged message is there whenever somebody reads, unless it was removed as the settings allow.
-- meaning: An acknowledged message violates it if a reading that began after its acknowledgement does not find it, and its
--   absence is not legal: it lies before the first {position}, and its removal was due by a value that had been in force
--   (age, bytes or number of later messages, truncation), or a later value of its key survives compaction. What lies where
--   the reading did not come is in doubt and does not count.
-- untested: no message was acknowledged before a fresh reader looked for it, or all that were had legally gone
-- needs: readings, shared clock
-- parameters: none
-- cannot: acks 0 or 1 without replication; unclean leader elections.
-- mends: acks of all replicas with at least two in sync; no unclean elections.

-- obligations
SELECT run, count(*) AS obligations
FROM expected
GROUP BY run
UNION ALL
SELECT run, -count(*)
FROM unfound
WHERE standing <> 'missing'
GROUP BY run;

-- violations
SELECT
  u.run, NULL::VARCHAR AS consumer_group, u.key, [u.message] AS messages, u.partition AS place, u.read_at AS noticed_at,
  the_message(u.message, u.key, u.sequence) || ' was acknowledged at ' || moment(u.acked_at)
  || CASE WHEN u.position IS NULL THEN '' ELSE ' as ' || lies_at(p.name, u.position) END
  || ', and a fresh reader that began at ' || moment(u.read_at) || ' did not find it'
  || CASE
    WHEN u.position IS NULL THEN ''
    WHEN u.position < u.first_position
      THEN ': {position} ' || u.first_position || ' was the first that was left, though no limit had been reached'
    WHEN u.position >= u.end_position THEN ': the end was at {position} ' || u.end_position
    ELSE ' among {position} ' || u.first_position || ' to ' || u.end_position - 1
  END AS sentence
FROM unfound AS u LEFT JOIN places AS p ON p.run = u.run AND p.id = u.partition
WHERE u.standing = 'missing'
ORDER BY u.run, u.read_at, u.acked_at, u.message;
