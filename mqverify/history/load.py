"""From rows to DuckDB: numpy columns, many runs at once (a million rows a second; `executemany`: two thousand)."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import numpy as np

from mqverify.history.recorder import Row, RunRows
from mqverify.history.tables import TABLES, Column, Table

__all__ = ["create_tables", "load_rows", "load_runs"]

_SQL_TYPES = {"int": "BIGINT", "text": "VARCHAR", "bool": "BOOLEAN"}
_NUMPY_TYPES: dict[str, tuple[Any, Any]] = {"int": (np.int64, 0), "bool": (np.bool_, False)}


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Create all tables of a history, empty."""
    for table in TABLES.values():
        columns = ", ".join(
            f'"{column.name}" {_SQL_TYPES[column.type]}{"" if column.nullable else " NOT NULL"}'
            for column in table.columns
        )
        connection.execute(f"CREATE TABLE {table.name} ({columns})")


def load_runs(connection: duckdb.DuckDBPyConnection, runs: Mapping[int, RunRows]) -> None:
    """Add the rows of many runs, by their numbers, to the tables (all but `runs` and `parameters`)."""
    for name, table in TABLES.items():
        if name in {"runs", "parameters"}:
            continue
        rows: list[Row] = []
        counts = []
        for recorded in runs.values():
            of_run = recorded.tables[name]
            rows.extend(of_run)
            counts.append(len(of_run))
        if rows:
            leading = {
                "run": np.repeat(np.fromiter(runs, np.int64, len(counts)), counts),
                "stage": np.zeros(len(rows), np.int64),
            }
            _insert(connection, table, leading, table.columns[2:], rows)


def load_rows(connection: duckdb.DuckDBPyConnection, table_name: str, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows with all columns of a table, `run` and `stage` included."""
    table = TABLES[table_name]
    if rows:
        _insert(connection, table, {}, table.columns, rows)


def _insert(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    leading: dict[str, Any],
    columns: Sequence[Column],
    rows: Sequence[Sequence[Any]],
) -> None:
    arrays = dict(leading)
    for column, values in zip(columns, zip(*rows, strict=True), strict=True):
        arrays[column.name] = _array(column, values)
    connection.register("incoming", arrays)
    names = ", ".join(f'"{name}"' for name in arrays)
    connection.execute(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM incoming")
    connection.unregister("incoming")


def _array(column: Column, values: Sequence[Any]) -> Any:
    if column.type == "text":
        return np.array(values, dtype=object)
    dtype, filler = _NUMPY_TYPES[column.type]
    if column.nullable and None in values:
        mask = np.fromiter((value is None for value in values), np.bool_, len(values))
        filled = [filler if value is None else value for value in values]
        return np.ma.masked_array(np.array(filled, dtype=dtype), mask=mask)
    return np.array(values, dtype=dtype)
