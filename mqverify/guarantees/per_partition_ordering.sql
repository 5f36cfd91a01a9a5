-- MQ113 per_partition_ordering
-- promise: As long as a consumer holds a partition, it is handed its messages in order and without leaving any out.
-- meaning: A tenure is the time from the moment a source is assigned to an incarnation until it is revoked or lost, or the
--   incarnation ends. Within one tenure the first deliveries of positions must rise, from the start position on. And no
--   message (of the consumer's shard, committed) that a reading still found after the right one of two neighbours was
--   delivered may lie between them. A message again is none (MQ102 and MQ112 judge that); nor are positions that hold no
--   message, such as transaction markers, or a message that was gone by then. Neighbours with a gap that no later reading
--   covers are not counted.
-- needs: readings
-- parameters: none
-- cannot: several consumers that compete for one stream have no order (unsupported); a position reset while a partition is
--   held leaves out what lies between.
-- mends: one consumer at a time for each partition or stream; a reset policy that fails loudly; retention longer than any
--   outage.

-- obligations
SELECT n.run, count(*) AS obligations
FROM neighbours AS n LEFT JOIN gaps AS g USING (tenure, right_position)
WHERE g.tenure IS NULL OR g.covered OR g.skipped IS NOT NULL
GROUP BY n.run;

-- violations
WITH wrong AS (
  SELECT n.*, g.skipped, g.skipped_position
  FROM neighbours AS n LEFT JOIN gaps AS g USING (tenure, right_position)
  WHERE n.right_position <= n.left_position OR g.skipped IS NOT NULL
),
-- The messages at the two positions, as this incarnation received them.
named AS (
  SELECT
    w.run, w.tenure, w.right_position,
    any_value(d.message) FILTER (d.source_position = w.right_position AND d.delivered_at = w.delivered_at) AS on_right,
    any_value(d.message) FILTER (d.source_position = w.left_position AND d.delivered_at = w.left_at) AS on_left
  FROM wrong AS w
  JOIN deliveries AS d
    ON d.run = w.run AND d.consumer_group = w.consumer_group AND d.consumer = w.consumer
    AND d.incarnation = w.incarnation AND d.source = w.source AND d.delivered_at IN (w.delivered_at, w.left_at)
  GROUP BY w.run, w.tenure, w.right_position
)
SELECT
  w.run, w.consumer_group, coalesce(s.key, r.key) AS key,
  [one FOR one IN [w.skipped, n.on_right, n.on_left] IF one IS NOT NULL] AS messages,
  w.source AS place, w.delivered_at AS noticed_at,
  who(w.consumer, w.incarnation) || ' was handed ' || lies_at(p.name, w.right_position)
  || coalesce(' (' || the_message(n.on_right, r.key, r.sequence) || ')', '')
  || CASE
    WHEN w.left_at IS NOT NULL THEN
      ' next after {position} ' || w.left_position
      || coalesce(' (' || the_message(n.on_left, l.key, l.sequence) || ')', '')
    ELSE ' first, though it was to start at {position} ' || (w.left_position + 1)
  END
  || CASE
    WHEN w.right_position <= w.left_position THEN ', which goes back, within one tenure'
    ELSE
      ', and ' || the_message(w.skipped, s.key, s.sequence) || ' at {position} ' || w.skipped_position
      || ' was left out: a reading still found it later'
  END
  || '; the tenure began at ' || moment(w.began_at) AS sentence
FROM wrong AS w
JOIN named AS n USING (run, tenure, right_position)
LEFT JOIN places AS p ON p.run = w.run AND p.id = w.source
LEFT JOIN messages AS r ON r.run = w.run AND r.message = n.on_right
LEFT JOIN messages AS l ON l.run = w.run AND l.message = n.on_left
LEFT JOIN messages AS s ON s.run = w.run AND s.message = w.skipped
ORDER BY w.run, w.delivered_at, w.consumer_group, w.source, w.right_position;
