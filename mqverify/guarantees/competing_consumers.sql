-- MQ137 competing_consumers
-- promise: Several consumers share the messages of one partition or stream.
-- meaning: It takes a busy window of a partition or stream: a stretch without fault, rebalance, join or leave,
--   with two consumers alive or more, in which at each moment at least 10 of its messages for each of them wait
--   that the group handles later, and in which at least 20 of its handlings for each of them start. It is violated
--   by one in every busy window of which a single consumer starts all handlers. Of consumers that share nothing,
--   what more than one handled counts for nobody.
-- untested: no busy window: too few messages of one partition waited for two consumers or more; send faster, or handle slower
-- needs: shared clock
-- parameters: none
-- cannot: consumer groups that give each partition to one consumer.
-- mends: competing consumers on one stream; a share group; more partitions, where order per key is enough.

-- obligations
SELECT run, count(DISTINCT (team_id, source)) AS obligations
FROM busy_windows
WHERE source IS NOT NULL
GROUP BY run;

-- violations
WITH alone AS (
  SELECT
    run, team, source, count(*) AS seen, arg_min(workers, began_at) AS workers,
    arg_min(consumers, began_at) AS consumers,
    arg_min(examples, began_at) AS examples, arg_min(started, began_at) AS started, min(began_at) AS began_at,
    arg_min(ended_at, began_at) AS ended_at
  FROM busy_windows
  WHERE source IS NOT NULL
  GROUP BY run, team_id, team, source
  HAVING max(len(workers)) <= 1
)
SELECT
  a.run, a.team AS consumer_group, NULL::VARCHAR AS key, a.examples AS messages, a.source AS place,
  a.ended_at AS noticed_at,
  'with ' || a.consumers || ' consumers of ' || the_group(a.team) || ' alive and messages of '
  || coalesce(quoted(p.name), 'a {place}') || ' waiting, '
  || CASE len(a.workers)
    WHEN 0 THEN 'no message of it was handled by one of them alone'
    ELSE quoted(a.workers[1]) || ' handled them all by itself'
  END
  || ', from ' || moment(a.began_at) || ' to ' || moment(a.ended_at) || ' (' || a.started || ' handlers started)'
  || CASE a.seen WHEN 1 THEN '' ELSE ', and so in all of its ' || a.seen || ' busy windows' END AS sentence
FROM alone AS a LEFT JOIN places AS p ON p.run = a.run AND p.id = a.source
ORDER BY a.run, a.team, a.source;
