-- MQ131 settle_safety
-- promise: Nothing is settled before it is handled or parked, so no crash can lose it.
-- meaning: An acknowledged settlement (or one that a later start proves applied) violates it if it covers a message the group
--   is owed, in the settler's shard, that no member had handled before the settlement was invoked and that its parked place
--   does not hold. Retrying settles nothing; a skip does. A message that had legally expired is excused, but only for
--   settlements invoked after the last reading that still found it, and from when it was old enough, where its age alone
--   allowed that; and never for one who had been handed it. What an unclean election put where the group had been handed
--   another message is not covered before it is handed out. A settlement that was only observed, at no known time, counts
--   only if the message was never handled.
-- untested: no settlement was acknowledged
-- needs: readings, parked, positions, shared clock
-- parameters: none
-- cannot: settling before handling; auto-commit beside a handler in another thread or behind an exception.
-- mends: settle after handling (each message or each batch), by explicit positions.

-- obligations
SELECT s.run, count(*) AS obligations
FROM counted_settlements AS s
GROUP BY s.run;

-- violations
SELECT
  u.run, u.consumer_group, u.key, [u.message] AS messages, u.source AS place, u.invoked_at AS noticed_at,
  CASE
    WHEN u.settled_by = 'server' THEN 'the server, for ' || the_group(u.consumer_group) || ', '
    WHEN u.settled_by = 'observed' THEN 'somebody of ' || the_group(u.consumer_group) || ' '
    ELSE who(u.consumer, u.incarnation) || ' of ' || the_group(u.consumer_group) || ' '
  END
  || CASE u.action
    WHEN 'commit' THEN 'committed '
    WHEN 'checkpoint' THEN 'kept the checkpoint '
    WHEN 'ack' THEN 'acknowledged '
    WHEN 'skip' THEN 'skipped '
    WHEN 'park' THEN 'parked '
    ELSE 'settled '
  END
  || lies_at(p.name, told_position(u.action, u.reached))
  || CASE WHEN u.settled_by = 'observed' THEN '' ELSE ' at ' || moment(u.invoked_at) END
  || ', which covers ' || the_message(u.message, u.key, u.sequence) || ' at ' || unit_of(p.name) || ' ' || u.source_position || ', '
  || CASE
    WHEN u.handled_at IS NULL THEN 'and the group never handled it'
    ELSE 'and the group first handled it at ' || moment(u.handled_at)
  END
  || CASE WHEN u.action = 'park' THEN '; it is not among the parked messages' ELSE '' END AS sentence
FROM unsafe_settlements AS u LEFT JOIN places AS p ON p.run = u.run AND p.id = u.source
ORDER BY u.run, u.invoked_at, u.reached, u.consumer_group, u.source, u.message;
