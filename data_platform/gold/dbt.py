"""dbt, run inside this process with what the platform's settings say.

dagster-dbt starts `dbt --version` and then dbt in processes of their own, each importing dbt anew, and that
takes longer than most builds. Here dbt is imported once; a run's builds have a process of their own (builder.py).
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_platform.gold.profile import variables
from data_platform.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

# DuckDB's extensions come from packages, so that nothing is downloaded; profiles.yml names this folder too.
EXTENSIONS = CHECKOUT / ".tools" / "duckdb"

_PARSED = "partial_parse.msgpack"


def run_dbt(
    settings: Settings,
    arguments: Sequence[str],
    target: Path,
    listen: "Callable[[EventMsg], None] | None" = None,
    manifest: "Manifest | None" = None,
) -> "dbtRunnerResult":
    """Run one dbt command, its artifacts going to `target`. With a manifest the project is not read."""
    from dbt.cli.main import dbtRunner

    if settings.warehouse == "duckdb":
        _install_extension("delta")
        settings.duckdb_building.parent.mkdir(parents=True, exist_ok=True)
    project = str(settings.dbt_project)
    places = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(target)]
    # What it prints says enough; to write all that it does into a file takes a twentieth of a build. The folder of
    # its log it makes all the same.
    log = ["--log-level-file", "none", "--log-path", str(target)]
    try:
        with _environment(settings), contextlib.chdir(project):
            return dbtRunner(manifest, callbacks=[listen] if listen else []).invoke(
                [*log, "--no-use-colors", *arguments, *places]
            )
    finally:
        _let_go_of_the_warehouse(settings)


def prepared_in(settings: Settings) -> Path:
    """Where set-up puts the manifest; another warehouse's models are other SQL."""
    made = settings.dbt_project / "target"
    return made if settings.warehouse == "duckdb" else made / settings.warehouse


def artifacts_in(settings: Settings) -> Path:
    """Where builds leave what dbt makes of the project."""
    folder = settings.home / "warehouse" / "dbt"
    return folder if settings.warehouse == "duckdb" else folder / settings.warehouse


def seed_parse(settings: Settings, target: Path) -> None:
    """Begin a target with what set-up parsed, which dbt then has to compare alone."""
    prepared = prepared_in(settings) / _PARSED
    if prepared.exists() and not (target / _PARSED).exists():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(prepared, target / _PARSED)


@contextlib.contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """The variables that profiles.yml and the sources read, for as long as dbt runs."""
    told = variables(settings)
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _let_go_of_the_warehouse(settings: Settings) -> None:
    """dbt-duckdb keeps the file open, and locked, until the process ends.

    Its own close_all_connections() only forgets the connection, which stays open while anything else holds it.
    """
    from dbt.adapters.factory import reset_adapters

    reset_adapters()  # type: ignore[no-untyped-call]
    if settings.warehouse != "duckdb":
        return
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]


def _install_extension(name: str) -> None:
    if any(EXTENSIONS.rglob(f"{name}.duckdb_extension")):
        return
    import duckdb
    from duckdb_extensions import import_extension

    EXTENSIONS.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"extension_directory": str(EXTENSIONS)}) as connection:
        import_extension(name, con=connection)
