-- MQ152 footprint
-- promise: What the system keeps on the broker stays within the given bounds.
-- meaning: It takes a reading of everything that is bounded. Each parameter is an upper bound for what its name
--   counts, whenever it was read; a run in which one of them was never read gives no obligation by the others.
-- untested: not everything that is bounded was counted; a broker counts what it has, such as partitions on Kafka
-- needs: nothing
-- parameters: at least one of partitions: count; streams: count; folders: count; bytes: count
-- cannot: nothing; it is a matter of design: a partition for each key costs a partition for each key.
-- mends: keys that share a fixed number of partitions; streams, which cost next to nothing, for each key.

-- obligations
WITH bounds_given AS (
  SELECT r.run, p.name AS kind, try_cast(p.value AS DOUBLE) AS bound
  FROM runs AS r JOIN parameters AS p USING (scenario)
  WHERE p.guarantee = 'footprint'
),
unread AS (
  SELECT run FROM bounds_given ANTI JOIN footprint USING (run, kind)
  UNION
  SELECT run FROM bounds_given WHERE bound IS NULL
)
SELECT run, count(*) AS obligations
FROM footprint AS f JOIN bounds_given AS g USING (run, kind)
WHERE f.value > g.bound OR run NOT IN (SELECT run FROM unread)
GROUP BY run;

-- violations
SELECT
  f.run, NULL::VARCHAR AS consumer_group, NULL::VARCHAR AS key, []::BIGINT[] AS messages, NULL::BIGINT AS place,
  f.read_at AS noticed_at,
  'the broker held ' || f.value || ' ' || quoted(f.kind) || ' at ' || moment(f.read_at)
  || ', more than the ' || p.value || ' allowed' AS sentence
FROM footprint AS f
JOIN runs AS r USING (run)
JOIN parameters AS p ON p.scenario = r.scenario AND p.guarantee = 'footprint' AND p.name = f.kind
WHERE f.value > try_cast(p.value AS DOUBLE)
ORDER BY f.run, f.value DESC, f.kind, f.read_at;

-- figures
SELECT f.run, f.kind AS figure, max(f.value)::DOUBLE AS value, max(f.value)::VARCHAR AS shown
FROM footprint AS f
JOIN runs AS r USING (run)
JOIN parameters AS p ON p.scenario = r.scenario AND p.guarantee = 'footprint' AND p.name = f.kind
GROUP BY f.run, f.kind
ORDER BY f.kind;
