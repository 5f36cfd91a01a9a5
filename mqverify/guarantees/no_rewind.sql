-- MQ112 no_rewind
-- promise: A group never goes back along a key past what it has handled since.
-- meaning: A handler's start on a message violates it (i) if the group had handled that message before, and since then
--   for the first time another one of the key; or (ii) if the group had not handled it yet (it was never started, its
--   handler failed or died), and had already handled one of the key that it was surely sent before. The same message
--   again, with nothing of its key handled since, is none. Whoever starts it counts, one that was thought dead as well.
--   Once a message and group.
-- untested: no handler started twice within one key; send more messages a key
-- needs: shared clock
-- parameters: none
-- cannot: settling in batches, or before a crash that repeats more than one message of a key; a retry that comes after
--   what was handed out behind it; one key in several consumers' hands.
-- mends: settle each message after handling it, with one in hand at a time. A transactional sink only keeps what starts again
--   without effect (exactly_once_effects).

-- obligations
SELECT run, count(*) AS obligations
FROM (
  SELECT run
  FROM handler_starts
  GROUP BY run, consumer_group, key
  HAVING count(*) > 1
)
GROUP BY run;

-- violations
SELECT
  r.run, r.consumer_group, r.key, [r.message, o.message] AS messages, r.source AS place, r.started_at AS noticed_at,
  who(r.consumer, r.incarnation) || ' started on ' || the_message(r.message, r.key, r.sequence) || ' at '
  || moment(r.started_at)
  || CASE
    WHEN r.is_first THEN ' for the first time'
    WHEN r.handled_at IS NULL THEN ' again, still unhandled'
    ELSE ' again, first handled at ' || moment(r.handled_at) END
  || ', though ' || the_group(r.consumer_group) || ' had handled ' || the_message(o.message, o.key, o.sequence)
  || ' at ' || moment(r.other_at)
  || CASE WHEN r.handled_at IS NULL THEN ', which was sent after it' ELSE ', after it' END AS sentence
FROM rewinds AS r
JOIN messages AS o ON o.run = r.run AND o.message = r.other
ORDER BY r.run, noticed_at, r.consumer_group, r.message;
