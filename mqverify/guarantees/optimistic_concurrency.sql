-- MQ141 optimistic_concurrency
-- promise: An append succeeds only if its stream ends where the writer expects.
-- meaning: An acknowledged append (the messages of one batch, else one message) that named the exact revision at which it
--   expected its stream to end violates it if its first message was not recorded right after that revision. `no_stream`
--   expects a stream that has nothing, so its first message at 0. A repeated append that is answered as before is no
--   violation. Appends that expect anything, or just a stream that exists, are not judged.
-- untested: no append with an exact expected revision was acknowledged; write `expected_revision: exact`
-- needs: nothing
-- parameters: none
-- unsupported: without expected_revision: the system has no expected revision that an append could name
-- cannot: nothing excuses it.
-- mends: report it to the makers of the broker or of the client library.

-- obligations
SELECT run, count(*) AS obligations
FROM exact_appends
GROUP BY run;

-- violations
SELECT
  a.run, NULL::VARCHAR AS consumer_group, a.key, a.messages[:4] AS messages, a.partition AS place,
  a.completed_at AS noticed_at,
  quoted(a.producer) || ' appended '
  || CASE WHEN len(a.messages) > 1 THEN len(a.messages) || ' messages, first ' ELSE '' END
  || the_message(a.messages[1], a.key, a.sequence) || CASE
    WHEN a.expected = -1 THEN ' on condition that ' || coalesce(quoted(p.name), 'the {place}') || ' had nothing'
    ELSE ' on condition that ' || coalesce(quoted(p.name), 'the {place}') || ' ended at {position} ' || a.expected
  END
  || '; it was acknowledged at ' || moment(a.completed_at) || ', and lies at {position} ' || a.actual || ', not '
  || a.expected + 1 AS sentence
FROM exact_appends AS a LEFT JOIN places AS p ON p.run = a.run AND p.id = a.partition
WHERE a.actual <> a.expected + 1
ORDER BY a.run, a.completed_at, a.messages[1];
