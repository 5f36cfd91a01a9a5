-- MQ113 per_partition_ordering
-- promise: As long as a consumer holds a partition, it is handed its messages in order and without leaving any
--   out.
-- meaning: Compared are neighbours: first deliveries of positions that follow each other within one tenure, from
--   the start position on. A tenure is the time from the moment a source is assigned to an incarnation until it is
--   revoked or lost, or the incarnation ends. Positions must rise, and no committed message of the consumer's
--   shard may lie between two neighbours if a reading still found it after the right one was delivered. The same
--   message again is none (MQ102 and MQ112 judge that), nor are positions without a message, such as transaction
--   markers, nor messages that were gone by then. Neighbours with a gap that no later reading covers do not count.
-- untested: no consumer was handed a message of a partition that it held
-- needs: readings
-- parameters: none
-- unsupported: competing: consumers that compete are handed messages in no order
-- cannot: a position reset while a partition is held leaves out what lies between.
-- mends: one consumer at a time for each partition or stream; a reset policy that fails loudly; retention longer
--   than any outage.

-- obligations
SELECT n.run, count(*) AS obligations
FROM neighbours AS n LEFT JOIN gaps AS g USING (tenure, right_position)
WHERE g.tenure IS NULL OR g.covered OR g.skipped IS NOT NULL
GROUP BY n.run;

-- violations
SELECT
  n.run, t.consumer_group, coalesce(s.key, r.key) AS key,
  [one FOR one IN [g.skipped, n.right_message, n.left_message] IF one IS NOT NULL] AS messages,
  t.source AS place, n.delivered_at AS noticed_at,
  who(t.consumer, t.incarnation) || ' was handed ' || lies_at(p.name, n.right_position)
  || coalesce(' (' || the_message(n.right_message, r.key, r.sequence) || ')', '')
  || CASE
    WHEN n.left_at IS NULL THEN ' first, though it was to start at ' || unit_of(p.name) || ' ' || (n.left_position + 1)
    ELSE ' next after ' || unit_of(p.name) || ' ' || n.left_position || coalesce(' (message ' || n.left_message || ')', '')
  END
  || CASE
    WHEN g.skipped IS NULL THEN ', which goes back, within one tenure'
    ELSE
      ', and ' || the_message(g.skipped, s.key, s.sequence) || ' at ' || unit_of(p.name) || ' ' || g.skipped_position
      || ' was left out: a reading still found it later'
  END
  || '; the tenure began at ' || moment(t.began_at) AS sentence
FROM neighbours AS n
JOIN tenures AS t USING (tenure)
LEFT JOIN gaps AS g USING (tenure, right_position)
LEFT JOIN places AS p ON p.run = n.run AND p.id = t.source
LEFT JOIN messages AS r ON r.run = n.run AND r.message = n.right_message
LEFT JOIN messages AS s ON s.run = n.run AND s.message = g.skipped
WHERE n.right_position <= n.left_position OR g.skipped IS NOT NULL
ORDER BY n.run, noticed_at, t.consumer_group, t.source, n.right_position;
