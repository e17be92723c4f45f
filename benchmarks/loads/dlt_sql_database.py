"""The peer: dlt's own `sql_database` source into a Delta table, with the backend that DLT_BACKEND names."""

import os
from typing import Any

# dlt imports it in the middle of a load.
import connectorx  # noqa: F401
from dlt.sources.sql_database import sql_table

from benchmarks.loads.dlt_delta import land
from benchmarks.loads.job import Job, run

CHUNK_ROWS = 100_000
# ConnectorX reads two parts at once. Tried and slower: one part, a stream of batches, the protocol `cursor`.
BACKENDS: dict[str, dict[str, Any]] = {
    "connectorx": {"partition_on": "order_id", "partition_num": 2},
    "pyarrow": {"tz": "UTC"},
}
# Columns need no normalising, so that many small files only cost.
FILES = {"SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "250000"}


def load(job: Job) -> None:
    backend: Any = os.environ["DLT_BACKEND"]
    orders = sql_table(
        credentials=os.environ["DLT_DATABASE"],
        table=job.table.split(".")[1],
        backend=backend,
        chunk_size=CHUNK_ROWS,
        reflection_level="full_with_precision",
        backend_kwargs=BACKENDS[backend],
    )
    land(orders, job, FILES)


if __name__ == "__main__":
    run(load)
