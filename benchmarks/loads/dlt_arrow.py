"""The peer: dlt fed with Arrow tables, which it need not normalise; we fetch and decode for it."""

from collections.abc import Iterator, Sequence
from typing import Any

import dlt
import orjson
import pyarrow as pa
import requests

from benchmarks.loads.dlt_delta import land
from benchmarks.loads.job import Job, run
from data_platform.declarations import Column, DataType
from data_platform.sources.catalogue import table_named

ARROW = {
    "string": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def load(job: Job) -> None:
    land(dlt.resource(pages(job), name="leads"), job)


def pages(job: Job) -> Iterator[pa.Table]:
    columns = table_named(job.table).columns
    with requests.Session() as session:
        session.trust_env = False
        session.verify = job.ca_file
        session.headers["Authorization"] = f"Bearer {job.token}"
        answer = session.get(job.instance_url + job.path, params={"q": job.soql})
        while True:
            answer.raise_for_status()
            page = orjson.loads(answer.content)
            yield as_table(page["records"], columns)
            if page["done"]:
                return
            answer = session.get(job.instance_url + page["nextRecordsUrl"])


def as_table(records: list[dict[str, Any]], columns: Sequence[Column]) -> pa.Table:
    return pa.table(
        {one.name: as_array([record[one.name] for record in records], one.type) for one in columns}
    )


def as_array(values: list[Any], of: DataType) -> pa.Array:
    match of.kind:
        case "timestamp":
            return pa.array(values, pa.string()).cast(ARROW["timestamp"])
        case "date":
            return pa.array(values, pa.string()).cast(ARROW["date"])
        case "decimal":
            return pa.array(values, pa.float64()).cast(pa.decimal128(of.precision, of.scale))
        case "json":
            texts = [None if value is None else orjson.dumps(value).decode() for value in values]
            return pa.array(texts, pa.string())
        case kind:
            return pa.array(values, ARROW[kind])


if __name__ == "__main__":
    run(load)
