-- Shared pieces of MQ114: one order for all. How pieces are made: views.sql.

-- Each message that two groups handled, beside the latest (`latest_before`) at which the `other` one first handled one that
-- `one` had first handled earlier: a running maximum, instead of pairs. Equal times, of two workers, order nothing.
CREATE OR REPLACE TEMP TABLE handled_by_two AS
SELECT
  *, max(by_other) OVER (
    PARTITION BY run, one, other ORDER BY by_one, by_other ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS latest_before
FROM (
  SELECT a.run, a.consumer_group AS one, b.consumer_group AS other, a.message, a.handled_at AS by_one, b.handled_at AS by_other
  FROM handlings AS a JOIN handlings AS b ON b.run = a.run AND b.message = a.message AND b.consumer_group > a.consumer_group
  ANTI JOIN out_of_line AS o ON o.run = a.run AND o.consumer_group = a.consumer_group
  ANTI JOIN out_of_line AS p ON p.run = b.run AND p.consumer_group = b.consumer_group
);

-- Each message that a group handled, beside the latest at which it first handled one that had been acknowledged before this
-- one was first sent. Without a shared clock of one producer only, and of what one consumer alone handled.
CREATE OR REPLACE TEMP TABLE handled_after_acked AS
WITH handled AS (
  SELECT
    h.run, h.consumer_group, h.message, h.handled_at, m.first_invoked, m.acked_at,
    CASE WHEN c.run IS NULL THEN m.producer END AS its_clock
  FROM handlings AS h JOIN messages AS m USING (run, message) LEFT JOIN comparable_clocks AS c USING (run)
  WHERE c.run IS NOT NULL OR (h.run, h.consumer_group) IN (
    SELECT (run, consumer_group)
    FROM deliveries ANTI JOIN comparable_clocks USING (run)
    WHERE result = 'handled'
    GROUP BY run, consumer_group
    HAVING min(consumer) = max(consumer)
  )
),
steps AS (
  SELECT run, consumer_group, its_clock, message, handled_at, first_invoked AS moment, NULL AS counts FROM handled
  UNION ALL
  SELECT run, consumer_group, its_clock, NULL, NULL, acked_at, handled_at FROM handled WHERE acked_at IS NOT NULL
)
SELECT run, consumer_group, its_clock, message, first_invoked, handled_at, latest_before
FROM (
  SELECT
    run, consumer_group, its_clock, message, handled_at, moment AS first_invoked,
    max(counts) OVER (
      PARTITION BY run, consumer_group, its_clock ORDER BY moment, message IS NULL ROWS UNBOUNDED PRECEDING
    ) AS latest_before
  FROM steps
)
WHERE message IS NOT NULL AND latest_before IS NOT NULL;
