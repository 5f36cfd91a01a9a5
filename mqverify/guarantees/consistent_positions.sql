-- MQ125 consistent_positions
-- promise: One position of a partition or stream holds one message, whoever looks and whenever.
-- meaning: Looked at are the positions at which acknowledgements, deliveries and fresh readers say that a message lies: in its
--   own {place}, never those of links. Violated by one that was seen with two messages, unless an unclean election of a leader
--   may lie between: from when the earlier sight can have begun (a message's first try, a reading's start) to the later one.
--   Where elections cannot be observed, on a real cluster, settings that allow them excuse all. Several tries or attempts of
--   one message see its position once. A message in two positions is no_duplicate_writes'.
-- untested: no position was seen twice: nothing was acknowledged with its position, delivered, or read
-- needs: positions
-- parameters: none
-- cannot: unclean leader elections, and acks 0 or 1 when a leader dies: what was lost gives its positions to others.
-- mends: acks of all replicas with at least two in sync; no unclean elections; else know messages by an id of their own.

-- obligations
SELECT run, count(*) AS obligations
FROM seen_again
WHERE NOT differs
GROUP BY run
UNION ALL
SELECT run, count(*)
FROM conflicts
GROUP BY run;

-- violations
SELECT
  c.run, NULL::VARCHAR AS consumer_group, a.key, [c.message, c.other] AS messages, c.partition AS place,
  c.until AS noticed_at,
  lies_at(c.place_name, c.position) || ' holds two messages: ' || the_message(c.message, a.key, a.sequence) || ', '
  || told_sight(c.seen_by, c.who, c.seen_at) || ', and ' || the_message(c.other, b.key, b.sequence) || ', '
  || told_sight(c.other_seen_by, c.other_who, c.other_seen_at) AS sentence
FROM conflicts AS c
LEFT JOIN messages AS a ON a.run = c.run AND a.message = c.message
LEFT JOIN messages AS b ON b.run = c.run AND b.message = c.other
ORDER BY c.run, c.until, c.partition, c.position;
