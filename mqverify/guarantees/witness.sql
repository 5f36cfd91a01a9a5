-- The events that show violations. In: table `witnessed` (witness, run, consumer_group, messages, place, noticed_at).
-- Out: rows (witness, weight, at_ns, actor, event, message, key, sequence, partition, position); a lower weight is more telling.
-- `event` may hold {position} and {place}, as sentences do; actor, key and partition are as in the history.
WITH shown AS (
  SELECT w.witness, w.run, w.consumer_group, w.noticed_at, w.message, m.key, m.sequence, m.partition, m.position, m.acked_at
  FROM (SELECT witness, run, consumer_group, noticed_at, unnest(messages) AS message FROM witnessed) AS w
  LEFT JOIN messages AS m USING (run, message)
),
-- Where the witness happened: its own place, else those of its messages.
sites AS (
  SELECT witness, run, consumer_group, noticed_at, place FROM witnessed WHERE place IS NOT NULL
  UNION
  SELECT w.witness, w.run, w.consumer_group, w.noticed_at, s.partition
  FROM witnessed AS w JOIN shown AS s USING (witness)
  WHERE w.place IS NULL AND s.partition IS NOT NULL
  UNION
  SELECT s.witness, s.run, s.consumer_group, s.noticed_at, p.source
  FROM shown AS s
  JOIN source_positions AS p ON p.run = s.run AND p.message = s.message
  WHERE (p.run, p.source) IN (SELECT (run, source) FROM linked_sources)
    AND (p.run, s.consumer_group, p.source) IN (SELECT (run, consumer_group, source) FROM assignments)
),
every_attempt AS (
  SELECT s.witness, d.*
  FROM shown AS s JOIN deliveries AS d ON d.run = s.run AND d.message = s.message
  WHERE s.consumer_group IS NULL OR d.consumer_group = s.consumer_group
    OR (d.run, d.consumer_group, s.consumer_group) IN (SELECT (run, consumer_group, team) FROM groups)
  UNION ALL
  SELECT w.witness, d.*
  FROM witnessed AS w JOIN deliveries AS d ON d.run = w.run AND d.delivered_at = w.noticed_at
  WHERE d.message IS NULL
),
-- Of many attempts at a message the first and the last three tell what happened.
handed AS (
  SELECT
    e.*, least(row_number() OVER (of_message ORDER BY delivered_at, attempt),
      row_number() OVER (of_message ORDER BY delivered_at DESC, attempt DESC)) > 3 AS among_many,
    coalesce(g.delivery = 'competing', false) AS competing
  FROM every_attempt AS e LEFT JOIN groups AS g USING (run, consumer_group)
  WINDOW of_message AS (PARTITION BY witness, message)
),
-- Of the settlements that cover a message, alone or with others: the earliest of each outcome.
covering AS (
  SELECT
    s.witness, t.rowid AS settlement,
    row_number() OVER (PARTITION BY s.witness, s.message, t.outcome ORDER BY t.invoked_at) AS nth
  FROM (SELECT s.*, p.source, p.source_position FROM shown AS s JOIN source_positions AS p USING (run, message)) AS s
  JOIN settlements AS t ON t.run = s.run AND t.consumer_group = s.consumer_group AND t.source = s.source
  WHERE t.action <> 'expire' AND (t.message = s.message OR (t.covers = 'below' AND t.source_position > s.source_position))
),
recent AS (
  SELECT
    s.witness, t.rowid AS settlement,
    row_number() OVER (PARTITION BY s.witness, s.place ORDER BY t.invoked_at DESC) AS nth
  FROM sites AS s
  JOIN settlements AS t ON t.run = s.run AND t.consumer_group = s.consumer_group AND t.source = s.place
  WHERE t.invoked_at <= s.noticed_at AND t.covers = 'below' AND t.action <> 'expire'
),
-- When a group's settled position in such a place was last forgotten.
forgotten AS (
  SELECT
    s.witness, t.rowid AS settlement, row_number() OVER (PARTITION BY s.witness, s.place ORDER BY t.invoked_at DESC) AS nth
  FROM sites AS s
  JOIN settlements AS t ON t.run = s.run AND t.consumer_group = s.consumer_group AND t.source = s.place
  WHERE t.action = 'expire'
),
settled AS (
  SELECT witness, settlement, min(weight) AS weight
  FROM (
    SELECT witness, settlement, 1 AS weight FROM covering WHERE nth = 1
    UNION ALL
    SELECT witness, settlement, CASE WHEN nth = 1 THEN 2 ELSE 4 END FROM recent WHERE nth <= 2
    UNION ALL
    SELECT witness, settlement, 2 FROM forgotten WHERE nth = 1
  )
  GROUP BY witness, settlement
),
turned AS (
  SELECT
    s.witness, a.*, a.asked_at > s.noticed_at AS later, coalesce(g.delivery = 'exclusive', true) AS handed_round,
    p.name AS source_name,
    row_number() OVER (
      PARTITION BY s.witness, s.place, a.asked_at > s.noticed_at ORDER BY abs(a.asked_at - s.noticed_at)
    ) AS nth
  FROM sites AS s
  JOIN assignments AS a ON a.run = s.run AND a.consumer_group = s.consumer_group AND a.source = s.place
  LEFT JOIN groups AS g ON g.run = a.run AND g.consumer_group = a.consumer_group
  LEFT JOIN places AS p ON p.run = a.run AND p.id = a.source
),
-- Where readings of places found the messages themselves, once or more often.
copies AS (
  SELECT l.run, l.reading, l.partition, l.message, list_sort(list(DISTINCT l.position)) AS positions
  FROM log AS l
  WHERE l.place = 'main' AND l.visible IS DISTINCT FROM 'uncommitted'
    AND (l.run, l.message) IN (SELECT (run, message) FROM shown)
  GROUP BY l.run, l.reading, l.partition, l.message
),
looked AS (
  SELECT
    s.witness, s.consumer_group, b.read_at, b.first_position, b.end_position, s.message, s.key, s.sequence, b.partition,
    c.positions, coalesce(c.positions[1], s.position) AS position,
    row_number() OVER (PARTITION BY s.witness, s.message, b.partition ORDER BY b.read_at DESC) AS nth
  FROM shown AS s
  JOIN bounds AS b ON b.run = s.run AND b.place = 'main'
  LEFT JOIN copies AS c
    ON c.run = b.run AND c.reading = b.reading AND c.partition = b.partition AND c.message = s.message
  WHERE (b.partition = s.partition AND b.read_at > s.acked_at) OR c.positions IS NOT NULL
),
applied_by AS (
  SELECT
    s.witness, e.applied_at, who(e.consumer, e.incarnation) AS applier, e.message, s.key, s.sequence, e.source, e.source_position,
    row_number() OVER (PARTITION BY s.witness, s.message ORDER BY e.applied_at) AS nth
  FROM shown AS s JOIN effects AS e ON e.run = s.run AND e.message = s.message
  WHERE s.consumer_group IS NULL OR e.consumer_group = s.consumer_group
    OR (e.run, e.consumer_group, s.consumer_group) IN (SELECT (run, consumer_group, team) FROM groups)
),
told AS (
  SELECT
    s.witness, CASE WHEN t.try = 1 THEN 0 ELSE 1 END AS weight, t.invoked_at AS at_ns, who(t.producer, t.incarnation) AS actor,
    told_sending(t.try, t.outcome, t.completed_at) AS event,
    t.message, t.key, t.sequence, t.partition AS place, t.position
  FROM shown AS s JOIN sends AS t ON t.run = s.run AND t.message = s.message
  UNION ALL
  SELECT witness, CASE WHEN among_many THEN 5 ELSE 1 END, delivered_at, who(consumer, incarnation),
    told_handing(attempt, competing, redelivered, intact, started_at),
    message, key, sequence, partition, position
  FROM handed
  UNION ALL
  SELECT witness, CASE WHEN among_many THEN 5 WHEN result IS NULL THEN 1 ELSE 3 END, started_at, who(consumer, incarnation),
    told_start(result),
    message, key, sequence, partition, position
  FROM handed
  WHERE started_at IS NOT NULL
  UNION ALL
  SELECT witness, CASE WHEN among_many THEN 5 ELSE 0 END, ended_at, who(consumer, incarnation),
    told_end(result),
    message, key, sequence, partition, position
  FROM handed
  WHERE ended_at IS NOT NULL
  UNION ALL
  SELECT s.witness, s.weight, t.invoked_at, settler(t.settled_by, t.consumer, t.incarnation),
    told_settling(
      t.action, t.settled_by, t.covers, t.message, p.name, t.source_position, t.outcome, t.completed_at
    ),
    t.message, m.key, m.sequence, t.source, told_position(t.action, t.source_position)
  FROM settled AS s
  JOIN settlements AS t ON t.rowid = s.settlement
  LEFT JOIN places AS p ON p.run = t.run AND p.id = t.source
  LEFT JOIN shown AS m ON m.witness = s.witness AND m.message = t.message
  UNION ALL
  SELECT witness, CASE WHEN nth = 1 AND NOT later THEN 2 ELSE 4 END, coalesce(done_at, asked_at), who(consumer, incarnation),
    told_assignment(change, handed_round, start_position, start_from, source_name),
    NULL, NULL, NULL, source, start_position
  FROM turned
  WHERE nth <= 3
  UNION ALL
  SELECT witness, CASE WHEN positions IS NULL OR len(positions) > 1 THEN 1 WHEN consumer_group IS NULL THEN 2 ELSE 4 END,
    read_at, 'fresh reader', told_finding(positions, first_position, end_position),
    message, key, sequence, partition, position
  FROM looked
  WHERE nth <= 3
  UNION ALL
  SELECT witness, 1, applied_at, applier, 'has its effect in the sink', message, key, sequence, source, source_position
  FROM applied_by
  WHERE nth <= 3
  UNION ALL
  SELECT DISTINCT w.witness, 2, k.ended_at, who(k.worker, k.incarnation), told_ending(k.ending), NULL::BIGINT, NULL, NULL::BIGINT, NULL::BIGINT,
    NULL::BIGINT
  FROM witnessed AS w JOIN workers AS k ON k.run = w.run
  WHERE k.ending = 'crashed' AND k.ended_at IS NOT NULL
    AND (k.consumer_group IS NULL OR w.consumer_group IS NULL OR k.consumer_group = w.consumer_group)
  UNION ALL
  -- A fault that lasts when it shows is its likely cause; of the others the nearest are told as long as there is room.
  SELECT w.witness,
    CASE WHEN f.began_at <= w.noticed_at AND coalesce(f.ended_at, w.noticed_at) >= w.noticed_at THEN 1 ELSE 2 END,
    f.began_at, 'fault', told_fault(f.kind, f.target, f.began_at, f.ended_at), NULL, NULL, NULL, NULL, NULL
  FROM witnessed AS w JOIN faults AS f ON f.run = w.run
  WHERE f.took_effect AND f.began_at IS NOT NULL
)
SELECT t.witness, t.weight, t.at_ns, coalesce(k.process, t.actor) AS actor, t.event, t.message, t.key, t.sequence, p.name AS partition, t.position
FROM told AS t
JOIN witnessed AS w USING (witness)
LEFT JOIN places AS p ON p.run = w.run AND p.id = t.place
LEFT JOIN processes AS k ON k.run = w.run AND k.actor = t.actor
ORDER BY t.witness, t.weight, abs(t.at_ns - w.noticed_at), t.at_ns, t.actor, t.event, t.message, t.position
