-- MQ105 integrity
-- promise: What is delivered is what was sent: no phantom, nothing altered, nothing astray.
-- meaning: A delivery violates it if nobody sent that message, if its key or its number within the key is not as sent, if
--   its checksum fails, or if it came by a {place} that no try to send it was given (judged only if that of every try is
--   known). Where a message lies counts, not the subscription it came through.
-- untested: no message was delivered
-- needs: nothing
-- parameters: none
-- cannot: nothing excuses it.
-- mends: report it to the makers of the broker, of the client library or of what stands between.

-- obligations
SELECT run, count(*) AS obligations
FROM deliveries
GROUP BY run;

-- violations
WITH astray AS (
  SELECT DISTINCT d.run, d.message, d.partition
  FROM deliveries AS d JOIN messages AS m ON m.run = d.run AND m.message = d.message AND m.partition <> d.partition
  WHERE d.partition IS NOT NULL
    AND (d.run, d.message, d.partition) NOT IN (
      SELECT (run, message, partition) FROM sends WHERE partition IS NOT NULL
    )
    AND (d.run, d.message) NOT IN (SELECT (run, message) FROM sends WHERE partition IS NULL)
),
wrong AS (
  SELECT
    d.run, d.consumer_group, d.key, d.sequence, d.message, d.partition, d.position, d.delivered_at,
    who(d.consumer, d.incarnation) AS receiver, m.key AS key_sent, m.sequence AS sequence_sent, m.partition AS partition_sent,
    CASE
      WHEN NOT d.intact THEN 'altered'
      WHEN m.message IS NULL THEN 'phantom'
      WHEN d.key <> m.key THEN 'key'
      WHEN d.sequence <> m.sequence THEN 'sequence'
      WHEN a.message IS NOT NULL THEN 'astray'
    END AS fault
  FROM deliveries AS d
  LEFT JOIN messages AS m ON m.run = d.run AND m.message = d.message
  LEFT JOIN astray AS a ON a.run = d.run AND a.message = d.message AND a.partition = d.partition
  WHERE NOT d.intact OR m.message IS NULL OR d.key <> m.key OR d.sequence <> m.sequence OR a.message IS NOT NULL
)
SELECT
  w.run, w.consumer_group, w.key, CASE WHEN w.message IS NULL THEN []::BIGINT[] ELSE [w.message] END AS messages,
  w.partition AS place, w.delivered_at AS noticed_at,
  w.receiver || ' of ' || the_group(w.consumer_group) || ' was handed '
  || CASE WHEN w.message IS NULL THEN 'something' ELSE the_message(w.message, w.key, w.sequence) END
  || ' at ' || moment(w.delivered_at) || ' (' || lies_at(p.name, w.position) || '), '
  || CASE w.fault
    WHEN 'altered' THEN 'whose checksum fails: its payload is not what was sent'
    WHEN 'phantom' THEN 'which nobody sent'
    WHEN 'key' THEN 'which was sent with the key ' || quoted(w.key_sent)
    WHEN 'sequence' THEN 'which was sent as sequence ' || w.sequence_sent || ' of its key'
    ELSE 'which was sent to ' || coalesce(quoted(sent.name), 'another {place}')
  END AS sentence
FROM wrong AS w
LEFT JOIN places AS p ON p.run = w.run AND p.id = w.partition
LEFT JOIN places AS sent ON sent.run = w.run AND sent.id = w.partition_sent
ORDER BY w.run, w.delivered_at, w.receiver;
