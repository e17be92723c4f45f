"""How dlt is set up for all peers: into Delta below a folder, with the fastest settings found."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dlt
from dlt.destinations import filesystem

from benchmarks.loads.job import Job

# Tried and slower: larger buffers, more files, compressed files between its steps.
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "SCHEMA__NAMING": "direct",
    # Both cores normalise; a file each is what they share out.
    "NORMALIZE__WORKERS": "2",
    "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "25000",
    "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
}


def land(resource: Any, job: Job, settings: Mapping[str, str] = MappingProxyType({})) -> None:
    os.environ.update({**SETTINGS, **settings})
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(Path(job.folder) / "pipelines"),
        destination=filesystem(
            bucket_url=str(Path(job.folder) / "lake"), warn_unsafe_layout_separators=False
        ),
        dataset_name="bronze",
    )
    resource.apply_hints(table_format="delta", write_disposition="append")
    pipeline.run(resource, loader_file_format="parquet").raise_on_failed_jobs()
