"""The peer: dlt's own `rest_api` source, as its documentation has it, into a Delta table."""

from collections.abc import Sequence
from typing import Any

import requests
from dlt.sources.rest_api import rest_api_resources

from benchmarks.loads.dlt_delta import land
from benchmarks.loads.job import Job, run
from data_platform.declarations import Column
from data_platform.sources.catalogue import table_named

# Told the types, dlt does not have to find them out row by row.
TYPES = {
    "string": "text",
    "json": "json",
    "boolean": "bool",
    "bigint": "bigint",
    "double": "double",
    "decimal": "decimal",
    "date": "date",
    "timestamp": "timestamp",
}


def load(job: Job) -> None:
    session = requests.Session()
    session.verify = job.ca_file
    session.trust_env = False
    (leads,) = rest_api_resources(
        {
            "client": {
                "base_url": job.instance_url,
                "auth": {"type": "bearer", "token": job.token},
                "paginator": {"type": "json_link", "next_url_path": "nextRecordsUrl"},
                "session": session,
            },
            "resources": [
                {
                    "name": "leads",
                    "endpoint": {"path": job.path, "params": {"q": job.soql}, "data_selector": "records"},
                    "columns": hints_of(table_named(job.table).columns),
                    "processing_steps": [{"map": without_attributes}],
                }
            ],
        }
    )
    land(leads, job)


def hints_of(columns: Sequence[Column]) -> dict[str, dict[str, Any]]:
    hinted: dict[str, dict[str, Any]] = {}
    for column in columns:
        hinted[column.name] = {"data_type": TYPES[column.type.kind]}
        if column.type.kind == "decimal":
            hinted[column.name] |= {"precision": column.type.precision, "scale": column.type.scale}
    return hinted


def without_attributes(record: dict[str, Any]) -> dict[str, Any]:
    del record["attributes"]
    return record


if __name__ == "__main__":
    run(load)
