-- What guarantees share, each piece computed once a judgement and only if a guarantee names it (or a piece that does).
-- A piece is a statement `CREATE OR REPLACE TEMP TABLE|VIEW|MACRO name …;` that ends in a semicolon at a line's end.
-- Every table has `run`; times are nanoseconds since the run's start.

-- ---------------------------------------------------------------------------------------------- words of sentences

-- Text that users or brokers chose (keys, names), fit to be spliced into a sentence. judge.py replaces {position} and
-- {place} by a system's own words, in one pass; a brace of the text itself is written {brace}, so it is never one of those.
CREATE OR REPLACE TEMP MACRO quoted(words) AS
  replace(CASE WHEN length(words) > 60 THEN words[:57] || '...' ELSE words END, '{', '{brace}');

-- The same for text of our own that holds names: whole.
CREATE OR REPLACE TEMP MACRO uncut(words) AS replace(words, '{', '{brace}');

-- message 17 (key order-3, sequence 2)
CREATE OR REPLACE TEMP MACRO the_message(number, its_key, its_sequence) AS
  'message ' || number || ' (key ' || coalesce(quoted(its_key), 'unknown') || ', sequence ' || coalesce(its_sequence::VARCHAR, 'unknown') || ')';

-- consumer-2, or consumer-2 (incarnation 3) after a restart
CREATE OR REPLACE TEMP MACRO who(worker, incarnation) AS
  quoted(worker) || CASE WHEN incarnation > 1 THEN ' (incarnation ' || incarnation || ')' ELSE '' END;

-- The workers of a real run are processes of the operating system: consumer-2 (pid 4711), consumer-2 (incarnation 3, pid 4712)
CREATE OR REPLACE TEMP TABLE processes AS
SELECT
  run, who(worker, incarnation) AS actor,
  quoted(worker) || CASE WHEN incarnation > 1 THEN ' (incarnation ' || incarnation || ', pid ' ELSE ' (pid ' END || pid || ')' AS process
FROM workers WHERE pid IS NOT NULL;

-- group billing; the one that a spec without groups has is `group`
CREATE OR REPLACE TEMP MACRO the_group(group_name) AS
  CASE WHEN group_name = 'group' THEN 'the group' ELSE 'group ' || quoted(group_name) END;

-- 12.345 s; from an hour on 8d 14:30:03.250, to the millisecond as `clock` of report/text.py writes it
CREATE OR REPLACE TEMP MACRO moment(ns) AS
  CASE
    WHEN ns < 3600000000000 THEN printf('%.3f s', ns / 1e9)
    ELSE ns // 86400000000000 || strftime(make_timestamp(ns // 1000), 'd %H:%M:%S.%g')
  END;

-- How long something took: 350 us, 12.34 ms, 2.5 s; from an hour on as `moment` writes it
CREATE OR REPLACE TEMP MACRO lasting(ns) AS
  CASE
    WHEN ns < 1000000 THEN printf('%.4g us', ns / 1e3)
    WHEN ns < 1000000000 THEN printf('%.4g ms', ns / 1e6)
    WHEN ns < 3600000000000 THEN printf('%.4g s', ns / 1e9)
    ELSE moment(ns)
  END;

-- Who settled: a consumer (its client, too), or the server by itself
CREATE OR REPLACE TEMP MACRO settler(settled_by, worker, incarnation) AS
  CASE WHEN settled_by = 'server' THEN 'the server' ELSE who(worker, incarnation) END;

-- What is counted along a place: offsets, revisions; along Event Store's $all neither, but positions in the log
CREATE OR REPLACE TEMP MACRO unit_of(place_name) AS
  CASE WHEN place_name = '$all' THEN 'position' ELSE '{position}' END;

-- {position} 41 of orders-0
CREATE OR REPLACE TEMP MACRO lies_at(place_name, its_position) AS
  unit_of(place_name) || ' ' || coalesce(its_position::VARCHAR, 'unknown') || ' of ' || coalesce(quoted(place_name), 'an unknown {place}');

-- A settled position as its system tells it: a checkpoint names the last one that it covers, a commit the next one.
CREATE OR REPLACE TEMP MACRO told_position(action, settled_position) AS
  CASE WHEN action = 'checkpoint' THEN settled_position - 1 ELSE settled_position END;

-- How somebody saw that a message lies at a position: as one reads it behind the message
CREATE OR REPLACE TEMP MACRO told_sight(seen_by, seer, seen_at) AS
  CASE seen_by
    WHEN 'ack' THEN 'acknowledged to ' || seer || ' at ' WHEN 'delivery' THEN 'handed to ' || seer || ' at '
    ELSE 'found by ' || seer || ' that began at ' END || moment(seen_at);

-- A parameter of a guarantee as text, for the runs whose scenario gives it: rows (run, value).
CREATE OR REPLACE TEMP MACRO given(guarantee_name, parameter_name) AS TABLE
  SELECT r.run, p.value
  FROM runs AS r JOIN parameters AS p USING (scenario)
  WHERE p.guarantee = guarantee_name AND p.name = parameter_name;

-- Runs whose times may be compared across workers: virtual time, or one monotonic clock of one machine.
CREATE OR REPLACE TEMP TABLE comparable_clocks AS
SELECT run FROM runs WHERE world = 'simulated'
UNION
SELECT run FROM settings WHERE name = 'clock' AND value = 'shared';

-- ---------------------------------------------------------------------------------------------- what was sent

-- One row a message, its tries folded: `acked` if any try was, `failed` if all failed for certain, else `unknown`.
-- a was surely sent before b (SEMANTICS §3) if a.acked_invoked < b.first_invoked and both have one producer, or
-- a.acked_at < b.first_invoked: so a running maximum of first_invoked along what is to be ordered finds every
-- contradiction in one pass, without pairs.
-- partition, position: the ack's, else those of any reading or delivery.
CREATE OR REPLACE TEMP TABLE messages AS
WITH folded AS (
  SELECT
    run, message, any_value(key) AS key, any_value(sequence) AS sequence, arg_min(producer, invoked_at) AS producer,
    CASE WHEN bool_or(outcome = 'acked') THEN 'acked' WHEN bool_and(outcome = 'failed') THEN 'failed' ELSE 'unknown' END
      AS outcome,
    min(invoked_at) AS first_invoked,
    min(invoked_at) FILTER (outcome = 'acked') AS acked_invoked,
    min(completed_at) FILTER (outcome = 'acked') AS acked_at,
    arg_min(partition, invoked_at) FILTER (outcome = 'acked' AND position IS NOT NULL) AS partition,
    arg_min(position, invoked_at) FILTER (outcome = 'acked' AND partition IS NOT NULL) AS position,
    any_value(partition) FILTER (outcome = 'acked') AS any_partition,
    min(record_time) FILTER (outcome = 'acked') AS record_time,
    any_value(stored_bytes) FILTER (outcome = 'acked') AS stored_bytes,
    max(coalesce(completed_at, invoked_at)) AS last_try_at, count(*) AS tries
  FROM sends
  GROUP BY run, message
),
seen AS (
  SELECT
    run, message, arg_min(partition, moment) AS partition, arg_min(position, moment) AS position,
    min(record_time) AS record_time, any_value(stored_bytes) AS stored_bytes
  FROM (
    SELECT run, message, partition, position, reading AS moment, record_time, stored_bytes
    FROM log
    WHERE place = 'main' AND message IS NOT NULL AND partition IS NOT NULL AND position IS NOT NULL
      AND (run, message) IN (SELECT (run, message) FROM folded WHERE position IS NULL)
    UNION ALL
    SELECT run, message, partition, position, delivered_at, NULL, NULL
    FROM deliveries
    WHERE message IS NOT NULL AND partition IS NOT NULL AND position IS NOT NULL
      AND (run, message) IN (SELECT (run, message) FROM folded WHERE position IS NULL)
  )
  GROUP BY run, message
)
SELECT
  f.run, f.message, f.key, f.sequence, f.producer, f.outcome, f.first_invoked, f.acked_invoked, f.acked_at, f.tries,
  f.last_try_at,
  coalesce(CASE WHEN f.position IS NULL THEN s.partition ELSE f.partition END, f.any_partition) AS partition,
  coalesce(f.position, s.position) AS position,
  coalesce(f.record_time, s.record_time) AS record_time,
  coalesce(f.stored_bytes, s.stored_bytes) AS stored_bytes
FROM folded AS f LEFT JOIN seen AS s USING (run, message);

-- ---------------------------------------------------------------------------------------------- what groups did

-- The first handling of a message by a group, and how many there were.
CREATE OR REPLACE TEMP TABLE handlings AS
SELECT
  run, consumer_group, message, count(*) AS times,
  min(ended_at) AS handled_at, arg_min(started_at, ended_at) AS started_at,
  arg_min(consumer, ended_at) AS consumer, arg_min(incarnation, ended_at) AS incarnation,
  arg_min(source, ended_at) AS source, arg_min(source_position, ended_at) AS source_position
FROM deliveries
WHERE result = 'handled' AND message IS NOT NULL
GROUP BY run, consumer_group, message;

-- When a group knew for the first time where to start in a source.
CREATE OR REPLACE TEMP TABLE first_starts AS
SELECT run, consumer_group, source, min(done_at) AS done_at
FROM assignments
WHERE change = 'assigned' AND done_at IS NOT NULL
GROUP BY run, consumer_group, source;

-- The last reading of each group's parked places, and whether it saw all of them. It has to be one of the end: before,
-- more may be parked.
CREATE OR REPLACE TEMP TABLE parked_readings AS
SELECT
  b.run, b.consumer_group, b.partition, arg_max(b.reading, b.read_at) AS reading,
  arg_max(b.read_to >= b.end_position, b.read_at) AS whole
FROM bounds AS b JOIN readings AS r USING (run, reading)
WHERE b.place = 'parked' AND r.reason = 'end'
GROUP BY b.run, b.consumer_group, b.partition;

CREATE OR REPLACE TEMP TABLE parked AS
SELECT DISTINCT l.run, l.consumer_group, l.message
FROM log AS l JOIN parked_readings AS p USING (run, reading, consumer_group, partition)
WHERE l.place = 'parked' AND l.message IS NOT NULL;

-- Messages that lay in a parked place and are not in it at the end, and until when they surely did: a reading found them
-- there, and they left at the earliest with the fault that it precedes (`before replay_parked of fault 1`).
CREATE OR REPLACE TEMP TABLE parked_until AS
WITH earlier AS (
  SELECT b.run, b.reading, b.consumer_group, b.partition, coalesce(min(f.began_at), any_value(b.read_at)) AS left_at
  FROM bounds AS b
  JOIN readings AS r USING (run, reading)
  LEFT JOIN faults AS f
    ON f.run = b.run AND f.began_at >= b.read_at AND f.fault = TRY_CAST(regexp_extract(r.reason, '[0-9]+$') AS BIGINT)
  WHERE b.place = 'parked' AND r.reason <> 'end'
  GROUP BY b.run, b.reading, b.consumer_group, b.partition
)
SELECT l.run, l.consumer_group, l.message, max(e.left_at) AS parked_until
FROM log AS l JOIN earlier AS e USING (run, reading, consumer_group, partition)
WHERE l.place = 'parked' AND l.message IS NOT NULL
  AND (l.run, l.consumer_group, l.message) NOT IN (SELECT (run, consumer_group, message) FROM parked)
GROUP BY l.run, l.consumer_group, l.message;

-- Groups that have a parked place which nobody read to its end. A group of an exclusive subscription has one only if
-- a consumer of it asked to park; a competing one always has.
CREATE OR REPLACE TEMP TABLE parked_unread AS
SELECT h.run, h.consumer_group
FROM (
  SELECT run, consumer_group FROM groups WHERE delivery = 'competing'
  UNION
  SELECT run, consumer_group FROM settlements WHERE action = 'park' AND outcome <> 'failed'
) AS h
LEFT JOIN (
  SELECT run, consumer_group, bool_and(whole) AS whole FROM parked_readings GROUP BY run, consumer_group
) AS p USING (run, consumer_group)
WHERE NOT coalesce(p.whole, false);

-- Groups whose last member the spec removed.
CREATE OR REPLACE TEMP TABLE removed_groups AS
SELECT run, consumer_group
FROM workers
WHERE kind = 'consumer' AND consumer_group IS NOT NULL
GROUP BY run, consumer_group
HAVING bool_and(ended_at IS NOT NULL) AND arg_max(ending, ended_at) = 'removed';

-- Where messages lie in the sources that groups follow: on Kafka the partition itself; else also the stream, category
-- or $all as readings and deliveries showed it.
CREATE OR REPLACE TEMP TABLE source_positions AS
SELECT run, message, partition AS source, position AS source_position
FROM messages
WHERE partition IS NOT NULL AND position IS NOT NULL
UNION
SELECT run, message, source, source_position
FROM log
WHERE place = 'main' AND message IS NOT NULL AND source IS DISTINCT FROM partition
UNION
SELECT run, message, source, source_position
FROM deliveries
WHERE message IS NOT NULL AND source IS DISTINCT FROM partition AND source_position IS NOT NULL;

-- Sources that hold no messages themselves: categories, correlations, $all.
CREATE OR REPLACE TEMP TABLE linked_sources AS
SELECT run, source FROM readings WHERE source IS NOT NULL
UNION
SELECT run, source FROM deliveries WHERE source <> partition;

-- What those groups had handled, or settled past, before: all that they are owed.
CREATE OR REPLACE TEMP TABLE reached_before_removal AS
WITH counted AS (
  SELECT s.*
  FROM settlements AS s SEMI JOIN removed_groups AS g USING (run, consumer_group)
  WHERE s.outcome = 'acked' AND s.action NOT IN ('retry', 'expire')
)
SELECT h.run, h.consumer_group, h.message FROM handlings AS h SEMI JOIN removed_groups AS g USING (run, consumer_group)
UNION
SELECT s.run, s.consumer_group, p.message
FROM (
  SELECT run, consumer_group, source, shard, max(source_position) AS source_position
  FROM counted
  WHERE covers = 'below'
  GROUP BY run, consumer_group, source, shard
) AS s
JOIN source_positions AS p ON p.run = s.run AND p.source = s.source AND p.source_position < s.source_position
JOIN messages AS m ON m.run = p.run AND m.message = p.message
LEFT JOIN shards AS h ON h.run = s.run AND h.consumer_group = s.consumer_group AND h.key = m.key
WHERE s.shard IS NULL OR h.shard IS NULL OR h.shard = s.shard
UNION
SELECT s.run, s.consumer_group, coalesce(s.message, p.message)
FROM counted AS s
LEFT JOIN source_positions AS p ON p.run = s.run AND p.source = s.source AND p.source_position = s.source_position
WHERE s.covers = 'one';

-- What each group is owed (SEMANTICS §3), one row a group and message, and what became of it: `handled_at` and `times`
-- (null, 0: never handled), `is_parked`, `may_be_parked` (it may lie in a parked place that nobody read), `in_doubt` (so, and
-- never handled), `drained` (the group's progress came to the end of every source).
CREATE OR REPLACE TEMP TABLE owed AS
WITH latest_start AS (
  SELECT
    run, consumer_group, min(done_at) AS earliest, max(done_at) AS latest,
    bool_or((run, source) IN (SELECT (run, source) FROM linked_sources)) AS linked
  FROM first_starts
  GROUP BY run, consumer_group
),
from_beginning AS (
  SELECT g.run, g.consumer_group, g.drained, m.*EXCLUDE (run)
  FROM groups AS g JOIN messages AS m USING (run)
  WHERE g.starts = 'beginning' AND m.outcome = 'acked'
),
linked_starts AS (
  SELECT f.run, f.consumer_group, p.message, min(f.done_at) AS done_at
  FROM first_starts AS f SEMI JOIN linked_sources USING (run, source) JOIN source_positions AS p USING (run, source)
  GROUP BY f.run, f.consumer_group, p.message
),
-- A group that starts at the end, and each message sent after its first start in the source the message lies in. Who follows
-- links was there before any place that came later, so that says nothing.
from_end AS (
  SELECT g.run, g.consumer_group, g.drained, m.*EXCLUDE (run)
  FROM groups AS g
  JOIN messages AS m USING (run)
  JOIN latest_start AS l ON l.run = g.run AND l.consumer_group = g.consumer_group
  LEFT JOIN first_starts AS f ON f.run = g.run AND f.consumer_group = g.consumer_group AND f.source = m.partition
  LEFT JOIN linked_starts AS k ON k.run = g.run AND k.consumer_group = g.consumer_group AND k.message = m.message
  LEFT JOIN places AS p ON p.run = g.run AND p.id = m.partition
  WHERE g.starts = 'end' AND m.outcome = 'acked'
    AND ((p.since > l.earliest AND NOT l.linked) OR m.first_invoked > coalesce(k.done_at, f.done_at, l.latest))
),
debts AS (SELECT * FROM from_beginning UNION ALL SELECT * FROM from_end),
kept AS (
  SELECT * FROM debts ANTI JOIN removed_groups USING (run, consumer_group)
  UNION ALL
  SELECT * FROM debts SEMI JOIN reached_before_removal USING (run, consumer_group, message)
)
SELECT
  k.*, h.handled_at, coalesce(h.times, 0) AS times,
  p.message IS NOT NULL AS is_parked,
  u.run IS NOT NULL AND (g.delivery = 'competing' OR asked.message IS NOT NULL) AS may_be_parked,
  h.message IS NULL AND p.message IS NULL AND u.run IS NOT NULL
    AND (g.delivery = 'competing' OR asked.message IS NOT NULL) AS in_doubt
FROM kept AS k
JOIN groups AS g USING (run, consumer_group)
LEFT JOIN handlings AS h USING (run, consumer_group, message)
LEFT JOIN parked AS p USING (run, consumer_group, message)
LEFT JOIN parked_unread AS u USING (run, consumer_group)
LEFT JOIN (
  SELECT DISTINCT s.run, s.consumer_group, coalesce(s.message, at_source.message) AS message
  FROM settlements AS s
  LEFT JOIN source_positions AS at_source
    ON at_source.run = s.run AND at_source.source = s.source AND at_source.source_position = s.source_position
  WHERE s.action = 'park' AND s.outcome <> 'failed'
) AS asked ON asked.run = k.run AND asked.consumer_group = k.consumer_group AND asked.message = k.message;

-- Groups of whose sinks it is known what took effect: all of a run that says so, since no effect at all leaves no rows; else
-- those with effects.
CREATE OR REPLACE TEMP TABLE recorded_sinks AS
SELECT run, consumer_group
FROM groups
WHERE run IN (SELECT run FROM settings WHERE name = 'effects' AND value = 'recorded')
UNION
SELECT run, consumer_group FROM effects;

-- Where several groups are to be compared, those whose handlings have no one order: of several consumers and several
-- sources, or, without a shared clock, of several consumers.
CREATE OR REPLACE TEMP TABLE out_of_line AS
SELECT run, consumer_group, count(DISTINCT consumer) AS consumers, count(DISTINCT source) AS sources
FROM deliveries
WHERE result = 'handled' AND message IS NOT NULL
  AND run IN (SELECT run FROM groups GROUP BY run HAVING count(*) > 1)
GROUP BY run, consumer_group
HAVING count(DISTINCT consumer) > 1 AND (count(DISTINCT source) > 1 OR run NOT IN (SELECT run FROM comparable_clocks));

-- ---------------------------------------------------------------------------------------------- doubts

-- What a run lacks, for those guarantees whose header needs it: rows (run, need, sentence).
CREATE OR REPLACE TEMP TABLE doubts AS
SELECT r.run, 'drained' AS need,
  the_group(g.consumer_group) || ' did not drain: '
  || uncut(coalesce(g.gave_up, r.give_up_reason, 'the run ended before it had read everything')) AS sentence
FROM runs AS r JOIN groups AS g USING (run)
WHERE NOT g.drained
UNION ALL
SELECT run, 'drained', 'the run did not drain: ' || uncut(coalesce(give_up_reason, 'it was given up'))
FROM runs
WHERE NOT drained AND run NOT IN (SELECT run FROM groups WHERE NOT drained)
UNION ALL
SELECT run, 'readings', 'no fresh reader read it'
FROM runs
WHERE run NOT IN (SELECT run FROM bounds WHERE place = 'main')
UNION ALL
SELECT DISTINCT b.run, 'readings', 'the fresh reader did not come to the end of ' || coalesce(quoted(p.name), 'a {place}')
FROM bounds AS b LEFT JOIN places AS p ON p.run = b.run AND p.id = b.partition
WHERE b.place = 'main' AND b.read_to < b.end_position
UNION ALL
SELECT run, 'positions', 'what lies where is not known'
FROM runs
WHERE run NOT IN (SELECT run FROM sends WHERE position IS NOT NULL)
  AND run NOT IN (SELECT run FROM deliveries WHERE source_position IS NOT NULL)
UNION ALL
SELECT u.run, 'parked', 'what ' || the_group(u.consumer_group) || ' parked was not read to its end'
FROM parked_unread AS u
UNION ALL
SELECT run, 'effects', 'what took effect in the sink of ' || the_group(consumer_group) || ' was not recorded'
FROM groups ANTI JOIN recorded_sinks USING (run, consumer_group)
UNION ALL
SELECT run, 'one order',
  the_group(consumer_group) || ' has no one order to compare: it handled with ' || consumers || ' consumers, from '
  || CASE sources WHEN 1 THEN 'one {place}' ELSE sources || ' {place}s' END
FROM out_of_line
UNION ALL
SELECT run, 'shared clock', 'times of its workers cannot be compared: they have no shared clock'
FROM runs
WHERE world <> 'simulated' AND run NOT IN (SELECT run FROM settings WHERE name = 'clock' AND value = 'shared');
