-- MQ132 legal_resume
-- promise: Whoever takes over starts where the group last settled, or where its reset policy says.
-- meaning: A start violates it that is none of: a position settled before the start was known, unless it was surely
--   overwritten (an acknowledged settlement invoked after that one was done was itself done before the consumer asked; one
--   of unknown outcome may stand for ever); the reset policy's position, if nothing acknowledged had been settled when it
--   asked, or a reading shows all that may stand out of range, or the settled position had expired (after an unclean election
--   that is in doubt, and such a start does not count); the sink's own position; where the consumer itself was, if it kept the {place} across a rebalance. A group's first start in a {place} has nothing to resume.
-- untested: no source was assigned a second time; crash or pause a consumer, or add a rebalance
-- needs: positions, shared clock
-- parameters: none
-- unsupported: competing: it settles one by one and the server keeps what is left, so no consumer resumes anywhere
-- cannot: nothing excuses it, but positions that a client settles by itself must have been observed.
-- mends: report it to the makers of the broker or the client; commits that are waited for (`commit: sync`) rule races out.

-- obligations
SELECT run, count(*) AS obligations
FROM resumptions ANTI JOIN doubtful_resets USING (run, start_row)
GROUP BY run;

-- violations
SELECT
  r.run, r.consumer_group, m.key, CASE WHEN m.message IS NULL THEN []::BIGINT[] ELSE [m.message] END AS messages,
  r.source AS place, r.done_at AS noticed_at,
  who(r.consumer, r.incarnation) || ' of ' || the_group(r.consumer_group) || ' started at '
  || lies_at(p.name, r.start_position) || ' at ' || moment(r.done_at)
  || CASE
    WHEN r.start_from LIKE 'reset%' THEN ', where the reset policy sent it'
    WHEN r.start_from = 'committed' THEN ', as settled'
    WHEN r.start_from = 'sink' THEN ', where its sink was said to stand'
    ELSE ''
  END
  || CASE
    WHEN r.last_position IS NULL THEN ', but nobody had settled that position, nor any other'
    ELSE ', but ' || who(r.last_by, r.last_incarnation) || ' had settled ' || unit_of(p.name) || ' ' || r.last_position || ' by '
      || moment(r.last_completed_at)
  END AS sentence
FROM illegal_resumptions AS r
LEFT JOIN places AS p ON p.run = r.run AND p.id = r.source
LEFT JOIN (
  SELECT s.run, s.source, s.source_position, min(s.message) AS message, arg_min(m.key, s.message) AS key
  FROM source_positions AS s JOIN messages AS m USING (run, message)
  WHERE (s.run, s.source, s.source_position) IN (SELECT (run, source, start_position) FROM illegal_resumptions)
  GROUP BY s.run, s.source, s.source_position
) AS m ON m.run = r.run AND m.source = r.source AND m.source_position = r.start_position
ORDER BY r.run, r.done_at, r.consumer, r.source;
