"""What gold needs before the definitions load: the dbt sources, and dbt's manifest.

`python -m data_platform.gold.prepare` is part of the set-up, and to be run again when a model or a
declaration has changed.
"""

from dagster import Failure

from data_platform.gold.dbt import prepared_in, run_dbt
from data_platform.gold.sources import write_sources
from data_platform.settings import Settings


def prepare(settings: Settings) -> None:
    write_sources(settings.dbt_project)
    parsed = run_dbt(settings, ["parse", "--quiet"], prepared_in(settings))
    if not parsed.success:
        raise Failure(
            f"dbt could not read the project in {settings.dbt_project}, so there is no manifest to make "
            f"gold's assets from: {parsed.exception}. Put the model right and run "
            "`python -m data_platform.gold.prepare`.",
            allow_retries=False,
        )


if __name__ == "__main__":
    prepare(Settings())
