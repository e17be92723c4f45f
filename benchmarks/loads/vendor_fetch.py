"""The limit: fetching the pages and looking at nothing but where the next one is."""

from benchmarks.loads.job import Job, run
from benchmarks.loads.vendor_pages import bodies


def load(job: Job) -> dict[str, int]:
    return {"bytes": sum(len(body) for _, body in bodies(job))}


if __name__ == "__main__":
    run(load)
