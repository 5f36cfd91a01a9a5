-- How the events of a history are put into words: once, for witnesses (witness.sql) and whole runs (trace.sql).
-- They may hold {position} and {place}, as sentences do.

CREATE OR REPLACE TEMP MACRO told_sending(its_try, its_outcome, its_completion) AS
  'sends it' || CASE WHEN its_try > 1 THEN ' again (try ' || its_try || ')' ELSE '' END || CASE its_outcome
    WHEN 'acked' THEN ', acknowledged at ' || moment(its_completion)
    WHEN 'failed' THEN ', failed for certain at ' || moment(its_completion)
    ELSE ', and never learns whether it was stored' END;

CREATE OR REPLACE TEMP MACRO told_handing(its_attempt, is_competing, retries, is_intact, its_start) AS
  CASE
    WHEN its_attempt > 1 THEN 'takes it up again (attempt ' || its_attempt || ')'
    WHEN is_competing THEN 'takes it from its buffer' || CASE WHEN retries > 0 THEN ' (retry ' || retries || ')' ELSE '' END
    ELSE 'is handed it' END
  || CASE WHEN is_intact THEN '' ELSE ', altered' END || CASE WHEN its_start IS NULL THEN ' and never starts on it' ELSE '' END;

CREATE OR REPLACE TEMP MACRO told_start(its_result) AS
  CASE WHEN its_result IS NULL THEN 'starts handling it and never ends' ELSE 'starts handling it' END;

CREATE OR REPLACE TEMP MACRO told_end(its_result) AS
  CASE its_result WHEN 'handled' THEN 'handled it' WHEN 'refused' THEN 'is refused by the sink' ELSE 'fails to handle it' END;

CREATE OR REPLACE TEMP MACRO told_settling(
  its_action, its_settler, its_cover, its_message, place_name, its_position, its_outcome, its_completion
) AS
  CASE WHEN its_settler IN ('consumer', 'observed', 'server') THEN '' ELSE 'its ' || its_settler || ' ' END
  || CASE its_action
    WHEN 'commit' THEN CASE WHEN its_settler = 'observed' THEN 'finds the group at' ELSE 'commits' END WHEN 'checkpoint' THEN 'keeps the checkpoint' WHEN 'ack' THEN 'acknowledges'
    WHEN 'skip' THEN 'skips' WHEN 'park' THEN 'parks' WHEN 'retry' THEN 'asks again for' WHEN 'expire' THEN 'forgets'
    ELSE its_action END
  || CASE
    WHEN its_cover = 'one' AND its_message IS NOT NULL THEN ' it'
    ELSE ' ' || unit_of(place_name) || ' ' || told_position(its_action, its_position) END
  || CASE
    WHEN its_action = 'expire' OR its_settler = 'observed' THEN ''
    WHEN its_outcome = 'acked' THEN coalesce(
      CASE
        WHEN its_action = 'checkpoint' THEN ', stored at ' WHEN its_cover = 'one' THEN ', counted at '
        ELSE ', acknowledged at ' END || moment(its_completion), ''
    )
    WHEN its_outcome = 'failed' THEN ', rejected' ELSE ', and never learns whether it counted' END;

-- `is_exclusive`: sources are handed round among the consumers of the group.
CREATE OR REPLACE TEMP MACRO told_assignment(its_change, is_exclusive, its_start, starts_from, place_name) AS
  CASE
    WHEN its_change = 'assigned' THEN CASE WHEN is_exclusive THEN 'is given the {place}' ELSE 'subscribes' END || CASE
      WHEN its_start IS NULL THEN ''
      WHEN starts_from = 'committed' AND NOT is_exclusive
        THEN ' behind ' || unit_of(place_name) || ' ' || its_start - 1 || ', its checkpoint'
      WHEN starts_from = 'committed' THEN ' and starts at ' || unit_of(place_name) || ' ' || its_start || ', as settled'
      WHEN starts_from = 'sink' THEN ' and starts at ' || unit_of(place_name) || ' ' || its_start || ', where its sink stands'
      WHEN starts_from = 'kept' THEN ' again and goes on at ' || unit_of(place_name) || ' ' || its_start
      WHEN starts_from LIKE 'reset%'
        THEN ' and starts at ' || unit_of(place_name) || ' ' || its_start || ', by the reset policy'
      ELSE ' and starts at ' || unit_of(place_name) || ' ' || its_start END
    WHEN NOT is_exclusive THEN CASE its_change WHEN 'revoked' THEN 'ends its subscription' ELSE 'loses its subscription' END
    WHEN its_change = 'revoked' THEN 'gives the {place} back'
    ELSE 'loses the {place}' END;

CREATE OR REPLACE TEMP MACRO told_fault(its_kind, its_target, its_beginning, its_end) AS
  its_kind || CASE WHEN its_target = '' THEN '' ELSE ' ' || quoted(its_target) END
  || CASE WHEN its_end > its_beginning THEN ' until ' || moment(its_end) ELSE '' END;

-- `positions`: where it found the message, in order; null if nowhere
CREATE OR REPLACE TEMP MACRO told_finding(positions, its_first, its_end) AS
  CASE
    WHEN len(positions) > 1 THEN 'finds it ' || len(positions) || ' times, at {position} ' || array_to_string(positions[:4], ', ')
      || CASE WHEN len(positions) > 4 THEN ' …' ELSE '' END
    WHEN positions IS NOT NULL THEN 'finds it' WHEN its_first >= its_end THEN 'finds the {place} empty'
    ELSE 'does not find it among {position} ' || its_first || ' to ' || its_end - 1 END;

CREATE OR REPLACE TEMP MACRO told_ending(its_ending) AS
  CASE its_ending WHEN 'crashed' THEN 'dies' WHEN 'removed' THEN 'is removed' WHEN 'finished' THEN 'ends'
    ELSE 'stops' END;
