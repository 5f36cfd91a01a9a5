-- All events of the one run that is loaded, in the words of witnesses. In: tables `wanted` (message), the messages whose
-- events are wanted, and `asked` (narrowed, worker): whether these are not all, and the one worker that is wanted, or null.
-- Out: rows (at_ns, rank, actor, event, message, key, sequence, partition, position); `rank` orders what is of one time.
-- Of a narrowed trace only what concerns its messages is told: settlements that cover several the first time that they cover
-- one of these, and the last before a start; assignments of where these lie; whether a fresh reader found them.
WITH lying AS (SELECT p.* FROM source_positions AS p SEMI JOIN wanted USING (message)),
covering AS (
  SELECT
    t.rowid AS settlement,
    row_number() OVER (PARTITION BY l.message, t.consumer_group, t.source, t.outcome ORDER BY t.invoked_at) AS nth
  FROM lying AS l JOIN settlements AS t USING (source)
  WHERE t.covers = 'below' AND t.source_position > l.source_position AND (SELECT narrowed FROM asked)
),
before_starts AS (
  SELECT
    t.rowid AS settlement,
    row_number() OVER (PARTITION BY a.consumer_group, a.source, a.asked_at ORDER BY t.invoked_at DESC) AS nth
  FROM assignments AS a
  JOIN settlements AS t ON t.consumer_group = a.consumer_group AND t.source = a.source AND t.invoked_at <= a.asked_at
  WHERE a.change = 'assigned' AND t.covers = 'below' AND a.source IN (SELECT source FROM lying)
    AND (SELECT narrowed FROM asked)
),
told AS (
  SELECT
    t.invoked_at AS at_ns, 2 AS rank, t.producer AS worker, who(t.producer, t.incarnation) AS actor,
    told_sending(t.try, t.outcome, t.completed_at) AS event,
    t.message, t.key, t.sequence, t.partition AS place, t.position
  FROM sends AS t SEMI JOIN wanted USING (message)
  UNION ALL
  SELECT
    unnest([delivered_at, started_at, ended_at]), unnest([3, 5, 6]), consumer, who(consumer, incarnation),
    unnest([
      told_handing(attempt, g.delivery = 'competing', redelivered, intact, started_at), told_start(result), told_end(result)
    ]),
    message, key, sequence, partition, position
  FROM deliveries AS d LEFT JOIN groups AS g USING (consumer_group)
  WHERE message IN (SELECT message FROM wanted) OR (message IS NULL AND NOT (SELECT narrowed FROM asked))
  UNION ALL
  SELECT
    t.invoked_at, 4, CASE WHEN t.settled_by <> 'server' THEN t.consumer END, settler(t.settled_by, t.consumer, t.incarnation),
    told_settling(t.action, t.settled_by, t.covers, t.message, p.name, t.source_position, t.outcome, t.completed_at),
    t.message, m.key, m.sequence, t.source, told_position(t.action, t.source_position)
  FROM settlements AS t
  LEFT JOIN places AS p ON p.id = t.source
  LEFT JOIN messages AS m ON m.message = t.message
  WHERE NOT (SELECT narrowed FROM asked) OR t.message IN (SELECT message FROM wanted)
    OR t.rowid IN (SELECT settlement FROM covering WHERE nth = 1 UNION ALL SELECT settlement FROM before_starts WHERE nth = 1)
  UNION ALL
  SELECT
    coalesce(a.done_at, a.asked_at), 1, a.consumer, who(a.consumer, a.incarnation),
    told_assignment(a.change, coalesce(g.delivery = 'exclusive', true), a.start_position, a.start_from, p.name),
    NULL, NULL, NULL, a.source, a.start_position
  FROM assignments AS a
  LEFT JOIN groups AS g USING (consumer_group)
  LEFT JOIN places AS p ON p.id = a.source
  WHERE NOT (SELECT narrowed FROM asked) OR a.source IN (SELECT source FROM lying)
  UNION ALL
  SELECT
    applied_at, 7, consumer, who(consumer, incarnation), 'has its effect in the sink', message, key, sequence, source,
    source_position
  FROM effects
  WHERE message IN (SELECT message FROM wanted) OR (message IS NULL AND NOT (SELECT narrowed FROM asked))
  UNION ALL
  SELECT
    b.read_at, 8, NULL, 'fresh reader',
    CASE WHEN l.message IS NULL THEN 'does not find it parked' ELSE 'finds it parked' END,
    m.message, m.key, m.sequence, b.partition, l.position
  FROM bounds AS b
  CROSS JOIN messages AS m SEMI JOIN wanted ON wanted.message = m.message
  LEFT JOIN log AS l ON l.reading = b.reading AND l.place = 'parked' AND l.partition = b.partition AND l.message = m.message
  WHERE b.place = 'parked' AND (SELECT narrowed FROM asked)
    AND (l.message IS NOT NULL OR m.message IN (SELECT message FROM settlements WHERE action = 'park'))
  UNION ALL
  SELECT
    b.read_at, 8, NULL, 'fresh reader', told_finding(l.positions, b.first_position, b.end_position),
    m.message, m.key, m.sequence, m.partition, m.position
  FROM (SELECT DISTINCT ON (reading, partition) * FROM bounds WHERE place = 'main') AS b
  JOIN messages AS m ON m.partition = b.partition
  LEFT JOIN (
    SELECT reading, partition, message, list_sort(list(DISTINCT position)) AS positions
    FROM log
    WHERE place = 'main' AND message IN (SELECT message FROM wanted)
    GROUP BY reading, partition, message
  ) AS l
    ON l.reading = b.reading AND l.partition = b.partition AND l.message = m.message
  WHERE (SELECT narrowed FROM asked) AND m.message IN (SELECT message FROM wanted) AND b.read_at > m.first_invoked
  UNION ALL
  SELECT
    b.read_at, 8, NULL, 'fresh reader',
    CASE WHEN b.first_position >= b.end_position THEN 'finds the {place} empty'
      ELSE 'reads {position} ' || b.first_position || ' to ' || b.end_position - 1 END
    || CASE WHEN b.place = 'parked' THEN ', the parked messages of ' || the_group(b.consumer_group) ELSE '' END
    || CASE WHEN b.read_to < b.end_position THEN ', and not to its end' ELSE '' END,
    NULL, NULL, NULL, b.partition, NULL
  FROM bounds AS b
  WHERE NOT (SELECT narrowed FROM asked)
  UNION ALL
  SELECT
    began_at, 1, worker, who(worker, incarnation), CASE WHEN incarnation > 1 THEN 'starts again' ELSE 'starts' END,
    NULL, NULL, NULL, NULL, NULL
  FROM workers
  UNION ALL
  SELECT ended_at, 9, worker, who(worker, incarnation), told_ending(ending), NULL, NULL, NULL, NULL, NULL
  FROM workers
  UNION ALL
  SELECT began_at, 0, (SELECT worker FROM asked), 'fault', told_fault(kind, target, began_at, ended_at), NULL, NULL, NULL, NULL, NULL
  FROM faults
  WHERE took_effect
)
SELECT t.at_ns, t.rank, t.actor, t.event, t.message, t.key, t.sequence, p.name AS partition, t.position
FROM told AS t
LEFT JOIN places AS p ON p.id = t.place
WHERE t.at_ns IS NOT NULL AND coalesce((SELECT worker FROM asked) = t.worker, (SELECT worker FROM asked) IS NULL)
