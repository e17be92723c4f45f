"""Loading the definitions, with all that this imports."""

from benchmarks.loads.job import Job, run


def load(_: Job) -> dict[str, int]:
    from data_platform.definitions import defs

    return {"assets": len(list(defs.resolve_all_asset_specs()))}


if __name__ == "__main__":
    run(load)
