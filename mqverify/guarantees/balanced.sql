-- MQ138 balanced
-- promise: No consumer handles more than x times its fair share.
-- meaning: A consumer's fair share is its part of everything that its group handled while it lived, divided evenly at each time
--   among all who were alive, those who got nothing too. It is violated by one that handled more than `at_most` times that.
--   Judged is who was alive throughout a busy window: a stretch without fault, rebalance, join or leave, with two consumers
--   alive or more, in which at each moment at least 10 messages for each of them wait, some in every partition, stream or
--   shard, and in which at least 20 handlings for each start. Consumers that share nothing are judged together, and a message
--   that more than one of them handled counts for nobody.
-- untested: no busy window, or nothing that only one consumer handled: let more messages wait for two consumers or more
-- needs: shared clock
-- parameters: at_most: ratio required
-- cannot: hot keys; partitions that do not divide evenly among consumers; more consumers than partitions.
-- mends: more partitions than consumers, a multiple of them; keys that spread; competing consumers with `round_robin`.

-- obligations
SELECT run, count(*) AS obligations
FROM work_shares SEMI JOIN given('balanced', 'at_most') USING (run)
GROUP BY run;

-- violations
SELECT
  s.run, s.team AS consumer_group, NULL::VARCHAR AS key, s.examples AS messages, NULL::BIGINT AS place, s.last_at AS noticed_at,
  quoted(s.worker) || ' handled ' || s.handled || ' of the ' || s.of_all || ' messages that ' || the_group(s.team)
  || ' handled while it lived; its fair share, with '
  || CASE WHEN s.fewest < s.most THEN s.fewest || ' to ' || s.most ELSE s.most::VARCHAR END || ' consumers alive, was '
  || printf('%.4g', s.fair) || ': ' || printf('%.3g', s.handled / s.fair) || ' times as many, more than the ' || g.value
  || ' times allowed' AS sentence
FROM work_shares AS s JOIN given('balanced', 'at_most') AS g USING (run)
WHERE s.handled > TRY_CAST(g.value AS DOUBLE) * s.fair * (1 + 1e-9)
ORDER BY s.run, s.handled / s.fair DESC, s.worker;

-- figures
SELECT run, 'most of a fair share' AS figure, handled / fair AS value, printf('%.3g times', handled / fair) AS shown
FROM work_shares;
