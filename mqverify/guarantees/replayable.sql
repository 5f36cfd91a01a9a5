-- MQ124 replayable
-- promise: A read model can be rebuilt: who reads from the beginning, at the end, comes to the state that was sent.
-- meaning: `state: fold`: every acknowledged message of the key is found, none that failed for certain, and first
--   occurrences are in the order they were surely sent, within one {place}: an order that spans two is nobody's.
--   `state: latest`: the last record of the key is no earlier one than its last acknowledged. What live consumers did does
--   not matter. A key of which the reading did not come to every {place} is not judged.
-- untested: no key was read back whole: nothing was acknowledged, or the fresh reader did not come to the end
-- needs: readings
-- parameters: state: text = fold
-- cannot: retention by age or size; records without a key over several partitions; partitions added later.
-- mends: unlimited retention, or compaction with `state: latest`; the aggregate as the record's key; partitions fixed.

-- obligations
SELECT run, count(DISTINCT key) AS obligations
FROM ending
WHERE subscribed
  AND (run, reader, key) NOT IN (SELECT (run, reader, key) FROM ending WHERE NOT found AND NOT decided)
GROUP BY run;

-- violations
SELECT run, NULL::VARCHAR AS consumer_group, key, messages, place, noticed_at, sentence
FROM unreplayable
ORDER BY run, kind, first_invoked, messages;
