"""dbt's pages on the models, with their columns and lineage, as one file that any browser opens: `make docs`."""

from pathlib import Path

from dagster import Failure

from data_platform.gold.dbt import run_dbt, seed_parse
from data_platform.settings import Settings


def page(settings: Settings) -> Path:
    return settings.home / "docs" / "index.html"


def write_page(settings: Settings) -> Path:
    """Write the page; without a warehouse it has no sizes and nothing else is missing."""
    folder = page(settings).parent
    seed_parse(settings, folder)
    generate = ["--quiet", "docs", "generate", "--static", "--no-compile"]
    if settings.warehouse == "duckdb" and not settings.duckdb_building.exists():
        generate.append("--empty-catalog")
    # The pages are made of the manifest, which parsing writes; the models' SQL is not compiled for them.
    ended = run_dbt(settings, ["--quiet", "parse"], folder)
    if ended.success:
        ended = run_dbt(settings, generate, folder)
    if not ended.success:
        raise Failure(
            f"dbt could not write its pages into {folder}: {ended.exception}. "
            "Run `.venv/bin/python -m data_platform.gold.prepare`, which says what is wrong with the models.",
            allow_retries=False,
        )
    (folder / "static_index.html").replace(page(settings))
    return page(settings)


if __name__ == "__main__":
    print(f"Open {write_page(Settings())} in a browser.")  # noqa: T201 - a command of the Makefile
