-- MQ141 optimistic_concurrency
-- promise: An append succeeds only if its stream ends where the writer expects.
-- meaning: An acknowledged append (the messages of one batch, else one message) that named the exact revision at which it
--   expected its stream to end violates it if its messages were not recorded right after that revision, one behind the
--   other. `no_stream` expects a stream that has nothing, so its first message at 0, or where it begins again after it was
--   deleted. A repeated append that is answered as before is no violation; one that is stored again is: every copy of a
--   message in its own stream (links apart) has to lie where one of its tries expected it. Where the revision is not
--   answered, readings and deliveries show it. Not judged are appends that expect anything, or just a stream that exists,
--   and those of which nobody can tell where they lie: nothing shows it, the expectation of another try explains it, or, of
--   one that was tried more than once, no whole reading of the end shows the stream from there on.
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
  a.run, NULL::VARCHAR AS consumer_group, a.key,
  CASE WHEN a.stray <> a.messages[1] THEN [a.stray] ELSE [] END || a.messages[:3] AS messages, a.partition AS place,
  a.completed_at AS noticed_at,
  quoted(a.producer) || ' appended '
  || CASE WHEN len(a.messages) > 1 THEN len(a.messages) || ' messages, first ' ELSE '' END
  || the_message(a.messages[1], a.key, a.sequence) || CASE
    WHEN a.expected = -1 THEN ' on condition that ' || coalesce(quoted(p.name), 'the {place}') || ' had nothing'
    ELSE ' on condition that ' || coalesce(quoted(p.name), 'the {place}') || ' ended at {position} ' || a.expected
  END
  || '; it was acknowledged at ' || moment(a.completed_at) || ', and '
  || CASE WHEN a.stray <> a.messages[1] THEN 'message ' || a.stray || ' ' ELSE '' END
  || 'lies at {position} ' || a.astray || CASE WHEN a.in_place THEN ', not only at ' ELSE ', not ' END || a.due AS sentence
FROM exact_appends AS a LEFT JOIN places AS p ON p.run = a.run AND p.id = a.partition
WHERE a.astray IS NOT NULL
ORDER BY a.run, a.completed_at, a.messages[1];
