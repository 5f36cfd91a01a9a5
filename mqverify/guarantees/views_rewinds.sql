-- Shared pieces of MQ112: handlers that start on what lies behind. How pieces are made: views.sql.

-- Starts of handlers, in runs whose times may be compared, and when the message was first handled, if before.
CREATE OR REPLACE TEMP TABLE handler_starts AS
SELECT
  d.run, d.consumer_group, d.message, m.key, m.sequence, m.producer, m.acked_invoked, m.acked_at, d.consumer, d.incarnation,
  d.source, d.started_at, CASE WHEN h.handled_at < d.started_at THEN h.handled_at END AS handled_at, m.first_invoked
FROM deliveries AS d SEMI JOIN comparable_clocks USING (run)
JOIN messages AS m ON m.run = d.run AND m.message = d.message
LEFT JOIN handlings AS h ON h.run = d.run AND h.consumer_group = d.consumer_group AND h.message = d.message
WHERE d.started_at IS NOT NULL;

-- Keys along which a group may have gone back: a handler started on what had been handled before, or on a message that was
-- first tried before the one started just before it. Along any other key each start lies ahead of all that had been started
-- by then. The rest looks at these alone.
CREATE OR REPLACE TEMP TABLE winding_keys AS
SELECT run, consumer_group, key
FROM (
  SELECT
    run, consumer_group, key,
    handled_at IS NOT NULL
    OR first_invoked < lag(first_invoked) OVER (PARTITION BY run, consumer_group, key ORDER BY started_at) AS winds
  FROM handler_starts
)
GROUP BY run, consumer_group, key
HAVING bool_or(winds);

-- What a group had handled of such a key by any moment: its latest message, and of all and of each producer the one that was
-- first tried last. So what lies ahead of a start is one ASOF join, without pairs.
CREATE OR REPLACE TEMP TABLE reached_along_keys AS
SELECT
  h.run, h.consumer_group, m.key, m.producer, h.message, h.handled_at,
  max(m.first_invoked) OVER along AS of_all, arg_max(h.message, m.first_invoked) OVER along AS of_all_message,
  max(m.first_invoked) OVER along_producer AS of_producer,
  arg_max(h.message, m.first_invoked) OVER along_producer AS of_producer_message
FROM handlings AS h JOIN messages AS m USING (run, message) SEMI JOIN winding_keys USING (run, consumer_group, key)
WINDOW
  along AS (
    PARTITION BY h.run, h.consumer_group, m.key ORDER BY h.handled_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ),
  along_producer AS (
    PARTITION BY h.run, h.consumer_group, m.key, m.producer ORDER BY h.handled_at
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  );

-- Starts that go back, the first of each message: `other` is what had been handled that lies ahead of it.
CREATE OR REPLACE TEMP TABLE rewinds AS
WITH starts AS (
  SELECT *, row_number() OVER (PARTITION BY run, consumer_group, message ORDER BY started_at) = 1 AS is_first
  FROM handler_starts SEMI JOIN winding_keys USING (run, consumer_group, key)
),
again AS (
  SELECT s.*, r.message AS other, r.handled_at AS other_at
  FROM (SELECT * FROM starts WHERE handled_at IS NOT NULL) AS s
  ASOF JOIN reached_along_keys AS r
    ON r.run = s.run AND r.consumer_group = s.consumer_group AND r.key = s.key AND s.started_at > r.handled_at
  WHERE r.handled_at > s.handled_at
),
behind_its_producers AS (
  SELECT s.*, r.of_producer_message AS other
  FROM (SELECT * FROM starts WHERE handled_at IS NULL) AS s
  ASOF JOIN reached_along_keys AS r
    ON r.run = s.run AND r.consumer_group = s.consumer_group AND r.key = s.key AND r.producer = s.producer
    AND s.started_at > r.handled_at
  WHERE r.of_producer > s.acked_invoked
),
behind_others AS (
  SELECT s.*, r.of_all_message AS other
  FROM (SELECT * FROM starts WHERE handled_at IS NULL) AS s
  ASOF JOIN reached_along_keys AS r
    ON r.run = s.run AND r.consumer_group = s.consumer_group AND r.key = s.key AND s.started_at > r.handled_at
  WHERE r.of_all > s.acked_at
),
late AS (
  SELECT b.*, h.handled_at AS other_at
  FROM (FROM behind_its_producers UNION ALL FROM behind_others) AS b
  JOIN handlings AS h ON h.run = b.run AND h.consumer_group = b.consumer_group AND h.message = b.other
)
SELECT *
FROM (FROM again UNION ALL FROM late)
QUALIFY row_number() OVER (PARTITION BY run, consumer_group, message ORDER BY started_at, other) = 1;
