-- Shared pieces of MQ124: what a reader from the beginning comes to. How pieces are made: views.sql.

-- First and last occurrences of messages in the readings of the end, by source, with what is known of their sending.
CREATE OR REPLACE TEMP TABLE occurrences AS
SELECT
  l.run, l.reader, l.source, l.message, min(l.source_position) AS first_position, max(l.source_position) AS last_position,
  any_value(m.key) AS key, any_value(m.sequence) AS sequence, any_value(m.producer) AS producer,
  any_value(m.first_invoked) AS first_invoked, any_value(m.acked_invoked) AS acked_invoked, any_value(m.acked_at) AS acked_at,
  any_value(m.outcome) AS outcome
FROM end_log AS l JOIN messages AS m USING (run, message)
WHERE l.subscribed
GROUP BY l.run, l.reader, l.source, l.message;

-- Where the first occurrence of a message comes before the first of one surely sent before it: one row for the latter.
-- Only keys of which one was first tried before the one just before it (`jumbled`) can have any.
CREATE OR REPLACE TEMP TABLE misplaced AS
WITH jumbled AS (
  SELECT DISTINCT run, reader, source, key
  FROM (
    SELECT
      run, reader, source, key, first_invoked,
      lag(first_invoked) OVER (PARTITION BY run, reader, source, key ORDER BY first_position) AS before_it
    FROM occurrences
  )
  WHERE first_invoked < before_it
),
followed AS (
  SELECT
    *,
    max(first_invoked) OVER (
      PARTITION BY run, reader, source, key, producer ORDER BY first_position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS same_producer,
    max(first_invoked) OVER (
      PARTITION BY run, reader, source, key ORDER BY first_position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS any_producer
  FROM occurrences SEMI JOIN jumbled USING (run, reader, source, key)
),
late AS MATERIALIZED (SELECT * FROM followed WHERE same_producer > acked_invoked OR any_producer > acked_at)
SELECT a.*, b.message AS other, b.sequence AS other_sequence, b.first_position AS other_position
FROM late AS a
JOIN occurrences AS b
  ON b.run = a.run AND b.reader = a.reader AND b.source = a.source AND b.key = a.key AND b.first_position < a.first_position
  AND b.first_invoked = CASE WHEN a.same_producer > a.acked_invoked THEN a.same_producer ELSE a.any_producer END;

-- Keys with a message surely sent before another one that lies in another source: nobody reads them in order.
CREATE OR REPLACE TEMP TABLE spread_keys AS
WITH shares AS (
  SELECT
    run, reader, key, source, producer, min(acked_invoked) AS acked_invoked, min(acked_at) AS acked_at,
    max(first_invoked) AS first_invoked,
    arg_min(message, acked_invoked) AS earliest, arg_max(message, first_invoked) AS latest
  FROM occurrences
  WHERE (run, reader, key) IN (
    SELECT (run, reader, key) FROM occurrences GROUP BY run, reader, key HAVING min(source) <> max(source)
  )
  GROUP BY run, reader, key, source, producer
)
SELECT
  a.run, a.reader, a.key, arg_min(a.earliest, a.acked_invoked) AS message, arg_min(b.latest, a.acked_invoked) AS other,
  arg_min(a.source, a.acked_invoked) AS source, arg_min(b.source, a.acked_invoked) AS other_source,
  min(a.acked_invoked) AS acked_invoked
FROM shares AS a
JOIN shares AS b ON b.run = a.run AND b.reader = a.reader AND b.key = a.key AND b.source <> a.source
WHERE CASE WHEN a.producer = b.producer THEN a.acked_invoked ELSE a.acked_at END < b.first_invoked
GROUP BY a.run, a.reader, a.key;

-- Keys whose last record, in any source, was surely sent before their last acknowledged message, or that have none.
CREATE OR REPLACE TEMP TABLE stale_keys AS
WITH last_acked AS (
  SELECT run, key, max(first_invoked) AS first_invoked, arg_max(message, first_invoked) AS message,
    arg_max(sequence, first_invoked) AS sequence, arg_max(producer, first_invoked) AS producer
  FROM messages
  WHERE outcome = 'acked'
  GROUP BY run, key
),
last_records AS (
  SELECT
    run, reader, key, source, arg_max(message, last_position) AS message, arg_max(sequence, last_position) AS sequence,
    arg_max(producer, last_position) AS producer, arg_max(acked_invoked, last_position) AS acked_invoked,
    arg_max(acked_at, last_position) AS acked_at, max(last_position) AS position
  FROM occurrences
  GROUP BY run, reader, key, source
)
SELECT
  k.run, k.reader, a.key, a.message AS wanted, a.sequence AS wanted_sequence, r.message, r.sequence, r.source, r.position,
  a.first_invoked
FROM (SELECT DISTINCT run, reader, key FROM ending WHERE subscribed) AS k
JOIN last_acked AS a USING (run, key)
LEFT JOIN last_records AS r USING (run, reader, key)
WHERE r.message IS NULL
  OR CASE WHEN r.producer = a.producer THEN r.acked_invoked ELSE r.acked_at END < a.first_invoked;

-- Everything that breaks MQ124, one row a message (`kind` 1, 2, 3) or key (4, 5), of keys that can be judged.
CREATE OR REPLACE TEMP TABLE unreplayable AS
WITH wanted AS (
  SELECT r.run, coalesce(g.value, 'fold') AS state
  FROM runs AS r LEFT JOIN given('replayable', 'state') AS g USING (run)
),
ended AS (SELECT run, reader, min(read_at) AS read_at FROM end_places WHERE subscribed GROUP BY run, reader),
undecided AS (SELECT DISTINCT run, reader, key FROM ending WHERE NOT found AND NOT decided),
broken AS (
  SELECT 1 AS kind, 'fold' AS state, e.run, e.reader, e.key, [e.message] AS messages, e.partition AS place, e.acked_at AS first_invoked,
    'who reads from the beginning does not find ' || the_message(e.message, e.key, e.sequence) || ', acknowledged at '
    || moment(e.acked_at) || coalesce(' as ' || lies_at(p.name, e.position), '')
    || coalesce(CASE WHEN e.position < e.first_position THEN ': what is left begins at {position} ' || e.first_position END, '')
    AS sentence
  FROM ending AS e LEFT JOIN places AS p ON p.run = e.run AND p.id = e.partition
  WHERE e.subscribed AND e.decided AND NOT e.found
  UNION ALL
  SELECT 2, 'fold', o.run, o.reader, o.key, [o.message], o.source, o.first_invoked,
    'who reads from the beginning finds ' || the_message(o.message, o.key, o.sequence) || ' at '
    || lies_at(p.name, o.first_position) || ', though its send had failed for certain'
  FROM occurrences AS o LEFT JOIN places AS p ON p.run = o.run AND p.id = o.source
  WHERE o.outcome = 'failed'
  UNION ALL
  SELECT 3, 'fold', m.run, m.reader, m.key, [m.message, m.other], m.source, m.first_invoked,
    'who reads from the beginning meets message ' || m.other || ' (sequence ' || m.other_sequence || ', {position} '
    || m.other_position || ') before ' || the_message(m.message, m.key, m.sequence) || ' at '
    || lies_at(p.name, m.first_position) || ', which was sent first'
  FROM misplaced AS m LEFT JOIN places AS p ON p.run = m.run AND p.id = m.source
  UNION ALL
  SELECT 4, 'fold', s.run, s.reader, s.key, [s.message, s.other], s.source, s.acked_invoked,
    'the order of key ' || quoted(s.key) || ' is lost to who reads from the beginning: message ' || s.message || ' lies in '
    || coalesce(quoted(p.name), 'one {place}') || ', message ' || s.other || ', sent after it, in '
    || coalesce(quoted(q.name), 'another {place}')
  FROM spread_keys AS s
  LEFT JOIN places AS p ON p.run = s.run AND p.id = s.source
  LEFT JOIN places AS q ON q.run = s.run AND q.id = s.other_source
  UNION ALL
  SELECT 5, 'latest', s.run, s.reader, s.key, CASE WHEN s.message IS NULL THEN [s.wanted] ELSE [s.wanted, s.message] END,
    s.source, s.first_invoked,
    'the last state of key ' || quoted(s.key) || ' is message ' || s.wanted || ' (sequence ' || s.wanted_sequence
    || '), but who reads from the beginning ' || CASE
      WHEN s.message IS NULL THEN 'finds nothing of that key'
      ELSE 'ends with message ' || s.message || ' (sequence ' || s.sequence || ') at ' || lies_at(p.name, s.position)
        || ', which was sent before it' END
  FROM stale_keys AS s LEFT JOIN places AS p ON p.run = s.run AND p.id = s.source
)
SELECT b.*, ended.read_at AS noticed_at
FROM broken AS b
JOIN wanted AS w ON w.run = b.run AND w.state = b.state
JOIN ended ON ended.run = b.run AND ended.reader = b.reader
ANTI JOIN undecided AS u ON u.run = b.run AND u.reader = b.reader AND u.key = b.key;
