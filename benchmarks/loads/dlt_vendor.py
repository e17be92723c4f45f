"""The peer: dlt fed with the records of each page, told their types.

Its `rest_api` source knows none of the three ways to page (a report to wait for, a stream in one answer, a cursor
asked for by POST), so the pages are fetched for it; orjson, which is faster than its own client, reads them.
"""

import dlt

from benchmarks.loads.dlt_delta import land
from benchmarks.loads.dlt_rest_api import hints_of
from benchmarks.loads.job import Job, run
from benchmarks.loads.vendor_records import pages
from data_platform.sources.catalogue import table_named


def load(job: Job) -> None:
    table = table_named(job.table)
    land(dlt.resource(pages(job), name=table.name, columns=hints_of(table.columns)), job)


if __name__ == "__main__":
    run(load)
