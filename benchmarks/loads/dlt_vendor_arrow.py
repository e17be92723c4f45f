"""The peer: dlt fed with Arrow tables made of each page, which it need not normalise; we decode and type for it."""

from collections.abc import Iterator
from typing import Any

import dlt
import orjson
import pyarrow as pa

from benchmarks.loads.dlt_arrow import ARROW
from benchmarks.loads.dlt_delta import land
from benchmarks.loads.job import Job, run
from benchmarks.loads.vendor_records import pages
from data_platform.declarations import DataType
from data_platform.sources.catalogue import table_named


def load(job: Job) -> None:
    land(dlt.resource(tables(job), name=table_named(job.table).name), job)


def tables(job: Job) -> Iterator[pa.Table]:
    columns = table_named(job.table).columns
    for records in pages(job):
        there = [column for column in columns if column.name in records[0]]
        yield pa.table({one.name: as_array([each[one.name] for each in records], one.type) for one in there})


def as_array(values: list[Any], of: DataType) -> pa.Array:
    """Numbers and days may come in quotes."""
    if of.kind == "json":
        return pa.array([orjson.dumps(value).decode() for value in values], pa.string())
    wanted = pa.decimal128(of.precision, of.scale) if of.kind == "decimal" else ARROW[of.kind]
    return pa.array(values).cast(wanted)


if __name__ == "__main__":
    run(load)
