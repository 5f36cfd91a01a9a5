-- MQ115 exclusive_key_handling
-- promise: Within a group a key is in the hands of one consumer at a time.
-- meaning: Looked at are keys that two consumers of one group or more had in hand. A message is in hand from the
--   start of its handler to its end, else to the end of the incarnation, else of the run; a pause does not end it,
--   a kill does. It is violated by a key in two consumers' hands at one time, once a key. Two groups may well hold
--   one key.
-- untested: no key was in the hands of two consumers of one group, one after the other; crash or pause one, or add a rebalance
-- needs: shared clock
-- parameters: none
-- unsupported: own: everything is given to each consumer, or its own share of the keys: no key goes from hand to hand
-- cannot: several consumers that compete for one stream, unless it pins a key to one; a consumer that pauses for
--   longer than its session lasts goes on with what it has in hand.
-- mends: one consumer at a time for each partition or stream; handlers well below the session and poll time-outs;
--   a sink that refuses writers whose tenure is over.

-- obligations
SELECT run, count(*) AS obligations
FROM keys_in_hands
GROUP BY run;

-- violations
SELECT
  k.run, k.consumer_group, k.key, [one FOR one IN [g.message, g.other_message] IF one IS NOT NULL] AS messages,
  g.source AS place, g.started_at AS noticed_at,
  who(g.consumer, g.incarnation) || ' began to handle ' || the_message(g.message, k.key, g.sequence) || ' at '
  || moment(g.started_at) || ' while ' || who(g.other_consumer, g.other_incarnation) || ' had '
  || CASE
    WHEN g.other_message IS NOT DISTINCT FROM g.message THEN 'the same message'
    ELSE the_message(g.other_message, k.key, g.other_sequence)
  END
  || ' in hand, from ' || moment(g.other_started_at) || ' to ' || moment(g.other_until) AS sentence
FROM grasps AS g JOIN keys_in_hands AS k USING (its_number)
ORDER BY k.run, noticed_at, k.consumer_group, k.key;
