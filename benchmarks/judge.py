"""How long judging takes: one run of 200 000 messages, and 25 runs of 500, by every guarantee that is built.

    python benchmarks/judge.py [--each] [--messages N] [--only NAME]…

`--each` also times every guarantee by itself. Figures are the best of three, on whatever this machine has.
"""

import argparse
import resource
import time

import duckdb

from mqverify.guarantees.judge import judge
from mqverify.guarantees.registry import catalogue
from mqverify.history.load import create_tables

PARTITIONS, CONSUMERS = 6, 3

# A run with one crash: every thousandth message is handled twice, all is read twice, nothing is lost, and
# the sink is idempotent.
HISTORY = """
CREATE TEMP TABLE plan AS
SELECT
  run, message, key % {partitions} AS partition, 'order-' || key AS key,
  row_number() OVER (PARTITION BY run, key ORDER BY message) - 1 AS sequence,
  row_number() OVER (PARTITION BY run, key % {partitions} ORDER BY message) - 1 AS position,
  message * 10000 AS sent_at, ({messages}::BIGINT + message) * 10000 AS handed_at,
  'consumer-' || (key % {partitions} % {consumers} + 1) AS consumer
FROM (
  SELECT run, message, hash(message, run) % {keys} AS key
  FROM range({runs}) AS r(run), range({messages}) AS m(message)
);
INSERT INTO runs SELECT run, 0, run, 'simulated', true, {messages}::BIGINT * 40000, NULL FROM range({runs}) AS r(run);
INSERT INTO parameters VALUES
  (0, 'footprint', 'partitions', '10'), (0, 'scales_with_consumers', 'at_least', '{consumers}'),
  (0, 'balanced', 'at_most', '1.5'), (0, 'recovery', 'within', '1000000000'), (0, 'recovery', 'drain', '60000000000'),
  (0, 'latency', 'p99', '500000000'), (0, 'latency', 'max', '500000000'), (0, 'latency', 'outside_faults', 'true');
INSERT INTO places
SELECT run, 0, id, 'partition ' || id, 0 FROM range({runs}) AS r(run), range({partitions}) AS p(id);
INSERT INTO groups
SELECT run, 0, 'group', 'group', 'beginning', 'exclusive', {consumers}, true, NULL FROM range({runs}) AS r(run);
INSERT INTO settings
SELECT run, 0, name, NULL, value, 0
FROM range({runs}) AS r(run), (
  VALUES
    ('retention', '604800000000000'), ('retention_bytes', 'unlimited'), ('clock', 'shared'), ('compaction', 'false'),
    ('effects', 'recorded')
) AS s(name, value);
INSERT INTO workers
SELECT DISTINCT run, 0, consumer, 'consumer', 'group', 1, 0, {messages}::BIGINT * 40000, 'finished' FROM plan;
INSERT INTO assignments
SELECT DISTINCT
  run, 0, consumer, 1, 'group', partition, NULL::BIGINT, 1, 'assigned', partition, 0, 'reset_beginning', partition + 5
FROM plan;
INSERT INTO sends
SELECT
  run, 0, message, key, sequence, 'producer-' || (hash(key) % 2), 1, 1, NULL, NULL, NULL, NULL, partition, position,
  sent_at, 120, sent_at, sent_at + 3000, 'acked'
FROM plan;
INSERT INTO deliveries
SELECT
  run, 0, message, 1, NULL, message, key, sequence, consumer, 1, 'group', NULL, partition, position, partition,
  position, handed_at + again, handed_at + again + 2, handed_at + again + 1000, 'handled', true
FROM plan, range(2) AS a(again)
WHERE again = 0 OR message % 1000 = 0
ORDER BY run, handed_at;
INSERT INTO effects
SELECT run, 0, 'group', message, key, sequence, consumer, 1, partition, position, handed_at + 1000
FROM plan
ORDER BY run, handed_at;
INSERT INTO settlements
SELECT
  run, 0, consumer, 1, 'group', NULL, partition, position + 1, 'below', NULL, 'commit', 'consumer', handed_at + 2000,
  handed_at + 2100, 'acked'
FROM plan
ORDER BY run, handed_at;
INSERT INTO faults
SELECT run, 0, 0, 'crash', 'consumer', 'handled 50%', 10, 11, true, NULL FROM range({runs}) AS r(run);
INSERT INTO readings
SELECT run, 0, reading, 'partition', NULL, 'read_uncommitted', CASE reading WHEN 0 THEN '0' ELSE 'end' END, true
FROM range({runs}) AS r(run), range(2) AS q(reading);
INSERT INTO bounds
SELECT run, 0, reading, 'main', NULL, partition, 0, max(position) + 1, max(position) + 1, {messages}::BIGINT * 30000
FROM plan, range(2) AS q(reading)
GROUP BY run, reading, partition;
INSERT INTO log
SELECT
  run, 0, reading, 'main', NULL, partition, position, partition, position, message, key, sequence, sent_at, 120,
  'committed', true
FROM plan, range(2) AS q(reading)
ORDER BY run, reading, partition, position;
INSERT INTO footprint SELECT run, 0, 'partitions', {partitions}, 10 FROM range({runs}) AS r(run);
DROP TABLE plan;
"""


def prepare(runs: int, messages: int, keys: int) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    create_tables(connection)
    sizes = {"runs": runs, "messages": messages, "keys": keys, "partitions": PARTITIONS, "consumers": CONSUMERS}
    connection.execute(HISTORY.format(**sizes))
    return connection


def best(connection: duckdb.DuckDBPyConnection, names: list[str], times: int = 3) -> tuple[float, float]:
    """Seconds on the wall and of CPU, the least of each."""
    walls, cpus = [], []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        judge(connection, {0: names})
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--each", action="store_true", help="also time every guarantee by itself")
    options.add_argument("--messages", type=int, default=200_000, help="messages of the large run")
    options.add_argument("--only", action="append", metavar="NAME", help="these guarantees; else all")
    arguments = options.parse_args()
    names = arguments.only or list(catalogue())
    for runs, messages, keys in ((25, 500, 50), (1, arguments.messages, 2_000)):
        connection = prepare(runs, messages, keys)
        wall, cpu = best(connection, names)
        print(f"{runs} runs of {messages} messages, {len(names)} guarantees: {wall:.2f} s ({cpu:.2f} s of CPU)")
        if arguments.each:
            for name in names:
                wall, cpu = best(connection, [name], 1)
                print(f"    {name:28} {wall:.3f} s ({cpu:.3f} s of CPU)", flush=True)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
